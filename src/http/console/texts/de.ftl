# Die Texte der Konsole auf Deutsch.

## Jede Seite
skip = Zum Inhalt springen
nav = Seiten
sign-out = Abmelden
zone-utc = Alle Zeiten sind in UTC.
zone-local = Alle Zeiten sind in Ihrer Zeitzone:
copied = Kopiert.
not-copied = Der Browser hat es nicht erlaubt. Der Text ist markiert: Kopieren Sie ihn mit Strg+C.
filter-shown = angezeigt
errors-title = Bitte korrigieren Sie:
error-home = Zum Anfang der Konsole
cancel = Abbrechen
save = Speichern
copy = Kopieren
optional = (freiwillig)
page-first = Erste Seite
page-next = Nächste Seite
name = Name
description = Beschreibung
email = E-Mail-Adresse
password = Passwort
new-password = Neues Passwort
current-password = Aktuelles Passwort
password-length = Mindestens { $count } Zeichen, und nicht leicht zu erraten.
abilities = Rechte
full-access = Voller Zugriff
no-abilities = Keine Rechte
state = Zustand
last-used = Zuletzt benutzt
never-used = Nie
expires = Läuft ab
expires-never = Nie
expires-soon = Bald
created = Erstellt
metadata = Metadaten
day = Tag
allowed = Erlaubt
refused = Abgelehnt
what-for = Richtlinien und Rechte
everything = Alles
outcome = Ergebnis
done = Geschehen
from-day = Von
until-day = Bis
when = Wann
what = Was
on-what = Woran
by-whom = Von wem

## Zeiten
time-now = gerade eben
time-ago = vor { $span }
time-in = in { $span }
span-seconds = { $count ->
    [one] 1 Sekunde
   *[other] { $count } Sekunden
}
span-minutes = { $count ->
    [one] 1 Minute
   *[other] { $count } Minuten
}
span-hours = { $count ->
    [one] 1 Stunde
   *[other] { $count } Stunden
}
span-days = { $count ->
    [one] 1 Tag
   *[other] { $count } Tagen
}
span-months = { $count ->
    [one] 1 Monat
   *[other] { $count } Monaten
}
span-years = { $count ->
    [one] 1 Jahr
   *[other] { $count } Jahren
}

## Fehler
error-no-page = Diese Seite gibt es nicht.
error-no-page-way-out = Prüfen Sie die Adresse, oder beginnen Sie am Anfang der Konsole.
error-not-found = Das gibt es nicht mehr, oder es gehört Ihnen nicht.
error-not-found-way-out = Vielleicht wurde es inzwischen gelöscht.
error-foreign = Dieses Formular kam nicht von einer Seite dieses Servers, darum ist nichts geschehen.
error-foreign-way-out = Öffnen Sie die Seite hier, und senden Sie das Formular noch einmal. Wenn Sie das getan haben, ist Ihr Browser zu alt oder verbirgt, woher seine Formulare kommen.
error-throttled = Es gab zu viele Versuche.
error-wait = { $count ->
    [one] Warten Sie 1 Sekunde, und versuchen Sie es dann noch einmal.
   *[other] Warten Sie { $count } Sekunden, und versuchen Sie es dann noch einmal.
}
error-sign-in = Die E-Mail-Adresse und das Passwort gehören nicht zusammen.
error-sign-in-way-out = Prüfen Sie beide. Ein Administrator kann Ihr Passwort zurücksetzen.
error-busy = Gerade melden sich zu viele Menschen an.
error-admin = Das darf nur ein Administrator.
error-role = Ihre Rolle in dieser Umgebung erlaubt das nicht.
error-unavailable = Der Server kann gerade nicht antworten.

## Anmeldung
sign-in-title = Anmelden
sign-in-first = Melden Sie sich an, um diese Seite zu sehen.
sign-in-signed-out = Sie sind abgemeldet.
sign-in-password-set = Ihr Passwort ist gesetzt. Melden Sie sich damit an.
sign-in-deleted = Ihr Konto ist gelöscht, und Ihre Tokens sind beendet.
sign-in-empty = Dieser Server hat noch keine Benutzer
sign-in-empty-hint = Legen Sie den ersten auf der Maschine an, auf der er läuft:
sign-in-forgotten = Passwort vergessen? Bitten Sie Ihren Administrator um einen Link, um ein anderes zu setzen.
no-cookie-title = Sie sind nicht angemeldet
no-cookie-why = Der Browser hat das Cookie dieses Servers nicht behalten. Erlauben Sie Cookies für diese Seite.
no-cookie-https = Außer auf dieser Maschine bleiben Sie nur über HTTPS angemeldet. Wenn die Adresse mit http:// beginnt, bitten Sie Ihren Administrator um einen Proxy mit HTTPS davor.
no-cookie-again = Noch einmal anmelden
set-password-title = Passwort setzen
set-password-about = Ein Administrator hat Ihnen einen Link oder einen Code gegeben. Er gilt einmal.
set-password-code = Code

## Tokens
tokens-title = Tokens
tokens-owner = Besitzer
tokens-owner-you = Sie
tokens-states = Zustände
tokens-state-active = Aktiv
tokens-state-expired = Abgelaufen
tokens-state-revoked = Widerrufen
tokens-state-all = Alle
tokens-search = Nach Namen suchen
tokens-sort = Reihenfolge
tokens-sort-newest = Neueste zuerst
tokens-sort-oldest = Älteste zuerst
tokens-sort-used = Zuletzt benutzte zuerst
tokens-sort-unused = Am längsten unbenutzte zuerst
tokens-sort-expires = Bald ablaufende zuerst
tokens-apply = Zeigen
tokens-none = Kein Token passt.
tokens-choose = Auswählen
tokens-choose-one = { $name } auswählen
tokens-more-abilities = und { $count } weitere
tokens-revoke-chosen = Ausgewählte Tokens widerrufen
tokens-none-chosen = Wählen Sie mindestens ein Token aus.
tokens-revoke-several = { $count ->
    [one] 1 Token widerrufen
   *[other] { $count } Tokens widerrufen
}
tokens-revoked-notice = { $count ->
    [0] Kein Token wurde widerrufen: Alle waren schon beendet.
    [one] 1 Token wurde widerrufen.
   *[other] { $count } Tokens wurden widerrufen.
}
tokens-type-count = Tippen Sie { $count }, um die Anzahl der Tokens zu bestätigen, die Sie widerrufen.
tokens-empty-title = Sie haben keine aktiven Tokens
tokens-empty-about = Mit einem Token benutzt ein Skript oder ein Programm eine API in Ihrem Namen, ohne Ihr Passwort:
tokens-empty-step-1 = Erstellen Sie für jeden Zweck ein Token mit den Rechten, die es braucht.
tokens-empty-step-2 = Kopieren Sie sein Geheimnis in das Programm. Es wird einmal gezeigt.
tokens-empty-step-3 = Sehen Sie hier, wofür es benutzt wird, und widerrufen Sie es jederzeit.
tokens-empty-first = Das erste Token erstellen
status-active = Aktiv
status-expired = Abgelaufen
status-disabled = Gesperrt
status-canary = Köder
status-rotated-grace = Ersetzt, endet bald
status-revoked = Widerrufen
status-rotated = Ersetzt
status-leaked = Nach einem Leck widerrufen
status-reuse = Nach Missbrauch widerrufen
revoke-about = Programme, die diese Geheimnisse benutzen, werden ab der nächsten Anfrage abgelehnt. Das lässt sich nicht rückgängig machen.

## Ein neues Token
new-title = Neues Token
new-name-hint = Wofür es ist, zum Beispiel der Name des Programms, das es benutzt.
new-abilities-hint = Was das Token darf. Wählen Sie so wenig, wie das Programm braucht.
new-abilities-search = Unter den Rechten suchen
new-reserved = geben nur Administratoren
new-more-abilities = Andere Rechte
new-more-any = Durch Leerzeichen getrennt, zum Beispiel calls:read agents:*
new-more-wildcards = Durch Leerzeichen getrennt: Rechte mit einem Platzhalter, zum Beispiel calls:*
new-full-warning = Wer das Geheimnis eines Tokens mit vollem Zugriff hat, kann alles, was Sie können, auch in dem, was später dazukommt.
new-date = An einem Datum
new-date-label = Der letzte Tag
new-never = Nie: Es endet nur, wenn es jemand widerruft
new-longest = { $count ->
    [one] Auf diesem Server gilt ein Token höchstens 1 Tag.
   *[other] Auf diesem Server gilt ein Token höchstens { $count } Tage.
}
new-more = Mehr: Netze, Grenzen, Metadaten
new-networks = Nur aus diesen Netzen
new-networks-hint = IP-Adressen oder Netze, eines je Zeile, zum Beispiel 10.0.0.0/8. Ohne Angabe gilt das Token von überall.
new-rate = Anfragen je Minute
new-quota = Benutzungen insgesamt
new-metadata-hint = Ein Schlüssel=Wert je Zeile, zum Beispiel team=payments.
new-metadata-line = "{ $line }" hat kein "=". Schreiben Sie Schlüssel=Wert.
new-canary = Köder-Token
new-canary-hint = Ein Köder-Token wird überall abgelehnt, und jede Benutzung wird aufgezeichnet. Legen Sie es dorthin, wo nur ein Eindringling es findet.
new-form-too-old = Dieses Formular ist zu alt. Prüfen Sie es, und senden Sie es noch einmal.
new-review = Weiter zur Zusammenfassung
review-title = Dieses Token erstellen?
review-policies = Was es durchlässt
review-nothing = Nichts, was ein Token braucht.
review-not-all = Andere Regeln dieser Richtlinie lehnen es ab.
review-all = Das ist alles, was diese Richtlinie einem Token erlaubt.
review-create = Token erstellen
review-change = Etwas ändern
already-title = Dieses Token gibt es schon
already-about = Das Formular wurde zweimal gesendet, und ein Token wurde erstellt. Sein Geheimnis wurde einmal gezeigt. Wenn Sie es nicht behalten haben, ersetzen Sie das Token: Sie bekommen ein neues Geheimnis.
already-rotate = Für ein neues Geheimnis ersetzen
secret-title = Ihr neues Token
secret-once = Kopieren Sie das Geheimnis jetzt. Es wird nur dieses eine Mal gezeigt und nirgends gespeichert.
secret-of = Das Geheimnis von { $name }
secret-leave = Sie haben das Geheimnis nicht kopiert. Es wird nicht noch einmal gezeigt.
secret-use = Benutzen
secret-variable = Als Umgebungsvariable
secret-lost = Später verloren?
secret-done = Fertig
secret-old-ended = Das alte Geheimnis ist beendet.
secret-old-ends = Das alte Geheimnis endet in { $span }.
secret-old-ends-first-use = Das alte Geheimnis endet mit der ersten Benutzung des neuen, oder in { $span }.

## Ein Token
token-like = Neues Token wie dieses
token-secret-end = Endet auf
token-id = Kennung
token-number = Nummer { $number }
token-quota-left = { $left } übrig
token-use = Benutzung
token-no-use = Es wurde keine Benutzung aufgezeichnet.
token-not-counted = Dieser Server zählt keine Benutzungen.
token-counted-since = Gezählt seit
token-days = Benutzung nach Tagen
token-used-abilities = Rechte, die es benutzt hat
token-unused-abilities = Rechte, die es nie benutzt hat
token-unused-rules = Was es außerdem könnte
token-addresses = Adressen, von denen es benutzt wurde
token-family = Ersetzungen
token-this = Dieses Token
token-events = { $count ->
    [one] 1 Ereignis
   *[other] { $count } Ereignisse
}
token-change = Ändern
token-rename = Umbenennen oder beschreiben
token-rotate = Ersetzen
token-rotate-about = Sie bekommen ein neues Geheimnis mit denselben Rechten und demselben Ablauf. Das alte gilt noch eine Weile, damit kein Programm stehen bleibt.
token-old-ends = Das alte Geheimnis endet
token-on-first-use = oder sobald das neue benutzt wird
rotate-at-once = sofort
rotate-after = nach { $span }
token-narrow-about = Das Token hat nur diese Rechte benutzt:
token-narrow = Durch eines mit den benutzten Rechten ersetzen
token-disable = Sperren
token-disable-about = Ein gesperrtes Token wird abgelehnt, bis Sie es wieder freigeben.
token-enable = Freigeben
token-enable-about = Programme können das Token wieder benutzen.
token-revoke = Widerrufen
token-renamed = Das Token ist geändert.
token-disabled = Das Token ist gesperrt.
token-enabled = Das Token ist freigegeben.
token-revoked = Das Token ist widerrufen.
chart-summary = { $count ->
    [one] 1 Benutzung in 30 Tagen
   *[other] { $count } Benutzungen in 30 Tagen
}

## Sitzungen
sessions-title = Sitzungen
sessions-about = Jede Anmeldung ist eine Sitzung: hier, über die API oder von einer Kommandozeile.
sessions-unnamed = Sitzung ohne Namen
sessions-current = Diese
sessions-end = Diese Sitzung beenden
sessions-end-others = Alle anderen Sitzungen beenden
sessions-ended = Die Sitzung ist beendet.
sessions-others-ended = Alle anderen Sitzungen sind beendet.

## Konto
account-title = Konto
account-renamed = Ihr Name ist geändert.
account-email-changed = Ihre E-Mail-Adresse ist geändert.
account-email-fixed = Ein Administrator kann sie ändern.
account-password-change = Passwort ändern
account-password-about = Alle Ihre anderen Sitzungen enden.
account-password-changed = Ihr Passwort ist geändert, und alle anderen Sitzungen sind beendet.
account-export = Meine Daten herunterladen
account-export-about = Alles, was über Sie gespeichert ist, als JSON. Geheimnisse sind nicht dabei: Niemand speichert sie.
account-delete = Mein Konto löschen
account-delete-about = Ihre Tokens, Sitzungen und Umgebungen enden mit ihm. Das lässt sich nicht rückgängig machen.

## Aktivität
activity-title = Aktivität
activity-about = Was mit Ihrem Konto und Ihren Tokens geschehen ist, das Neueste zuerst.
actor-session = eine Sitzung
actor-anonymous = niemand angemeldet
activity-none = Nichts passt.

## Umgebungen
environment = Umgebung
environments-title = Umgebungen
environments-about = Eine Umgebung enthält Tokens für Maschinen. Ein solches Token steht für seine Umgebung und für keinen Menschen.
environments-of-token = Ein Token der Umgebung
environments-none = Sie sehen keine Umgebung.
environments-current = Aktuell
environments-default = Standard
environments-your-role = Ihre Rolle
environments-role = Rolle
environments-role-of = Rolle von { $name }
environments-role-viewer = Betrachter
environments-role-admin = Verwalter
environments-role-owner = Besitzer
environments-new = Neue Umgebung
environments-create = Umgebung erstellen
environments-created = Die Umgebung ist erstellt.
environments-renamed = Die Umgebung ist umbenannt.
environments-deleted = Die Umgebung ist gelöscht, und ihre Tokens sind beendet.
environments-left = Sie haben die Umgebung verlassen.
environments-members = Mitglieder
environments-members-about = Betrachter sehen die Tokens. Verwalter können sie auch erstellen, ändern und widerrufen.
environments-since = Mitglied seit
environments-add = Mitglied hinzufügen
environments-user-id = Kennung des Benutzers
environments-user-id-hint = Benutzer finden ihre Kennung auf der Seite ihres Kontos.
environments-remove = Entfernen
environments-member-set = Das Mitglied hat jetzt diese Rolle.
environments-member-removed = Das Mitglied ist entfernt.
environments-current-about = Die aktuelle Umgebung ist die, die Programme benutzen, wenn Sie keine nennen.
environments-make-current = Zur aktuellen machen
environments-now-current = Das ist jetzt Ihre aktuelle Umgebung.
environments-rename = Umbenennen
environments-delete = Umgebung löschen
environments-delete-about = Ihre Tokens enden mit ihr, und Programme, die sie benutzen, werden abgelehnt. Das lässt sich nicht rückgängig machen.
environments-default-stays = Die Standardumgebung lässt sich nicht löschen.
environments-leave = Umgebung verlassen
environments-leave-about = Sie sehen sie nicht mehr. Ihr Besitzer kann Sie wieder hinzufügen.
environments-regenerate = Neues Geheimnis
environments-regenerate-about = Sie bekommen ein neues Geheimnis, und das alte endet sofort. Rechte und Ablauf bleiben.
type-name = Tippen Sie { $name }, um es zu bestätigen.

## Verwaltung
admin-title = Verwaltung
yes = Ja
no = Nein
admin-users = Benutzer
admin-services = Dienstkonten
admin-tokens = Alle Tokens
admin-audit = Protokoll
admin-nodes = Knoten
admin-leaks = Durchgesickerte Geheimnisse
admin-role-member = Mitglied
admin-role-admin = Administrator
admin-role-about = Ein Administrator kann alles auf diesen Seiten.
admin-invited = Eingeladen
admin-search-user = Nach Namen oder Adresse suchen
admin-sort-name = Nach Namen
admin-sort-email = Nach E-Mail-Adresse
admin-no-user = Kein Benutzer passt.
admin-invite = Benutzer einladen
admin-invite-about = Sie bekommen einen Link, mit dem der Benutzer ein Passwort setzt. Geben Sie ihn weiter: Dieser Server verschickt keine E-Mails.
admin-invite-do = Einladung erstellen
admin-link-title = Link zum Setzen eines Passworts
admin-link-once = Kopieren Sie den Link jetzt, und geben Sie ihn dem Benutzer. Er wird nur dieses eine Mal gezeigt, und er gilt einmal.
admin-link-leave = Sie haben den Link nicht kopiert. Er wird nicht noch einmal gezeigt.
admin-link = Link
admin-link-expires = Link zum Setzen eines Passworts läuft ab
admin-signed-in = Letzte Anmeldung
admin-owns = Was diesem Benutzer gehört
admin-manages = Verwaltete Dienstkonten
admin-all-tokens = Alle Tokens dieses Besitzers
admin-manage-tokens = Seine Tokens verwalten
admin-change = Name, Adresse und Rolle
admin-changed = Das Konto ist geändert.
admin-disabled = Das Konto ist gesperrt.
admin-enabled = Das Konto ist freigegeben.
admin-end-sessions = Alle Sitzungen beenden
admin-end-sessions-about = Der Benutzer muss sich überall neu anmelden. Seine Tokens gelten weiter.
admin-sessions-ended = Alle Sitzungen des Benutzers sind beendet.
admin-reset = Passwort zurücksetzen
admin-reset-about = Das jetzige Passwort und alle Sitzungen des Benutzers enden. Sie bekommen einen Link, mit dem er ein anderes Passwort setzt.
admin-hand-over = Übergeben
admin-hand-over-about = Die Tokens und Umgebungen bekommen einen anderen Besitzer. Ihre Geheimnisse gelten weiter und stehen von da an für den neuen Besitzer.
admin-hand-over-what = Wählen Sie Tokens, Umgebungen oder beides.
admin-handed-over = Das Gewählte hat jetzt einen anderen Besitzer.
admin-new-owner = Neuer Besitzer: Kennung oder E-Mail-Adresse
admin-disable-about = Der Benutzer kann sich nicht anmelden, und seine Tokens werden abgelehnt, bis Sie das Konto wieder freigeben.
admin-enable-about = Der Benutzer kann sich wieder anmelden, und seine Tokens gelten.
admin-delete-user = Benutzer löschen
admin-delete-user-about = Tokens, Sitzungen und Umgebungen des Benutzers enden. Das lässt sich nicht rückgängig machen.
admin-transfer-to = Tokens und Umgebungen übergeben an (Kennung oder E-Mail-Adresse)
admin-user-deleted = Der Benutzer ist gelöscht.
admin-no-service = Kein Dienstkonto passt.
admin-new-service = Neues Dienstkonto
admin-create-service = Dienstkonto erstellen
admin-service-about = Einem Dienstkonto gehören Tokens für ein Team oder eine Maschine. Seine Verwalter erstellen sie.
admin-service-created = Das Dienstkonto ist erstellt.
admin-service-deleted = Das Dienstkonto ist gelöscht, und seine Tokens sind beendet.
admin-managers = Verwalter
admin-managers-hint = Kennungen oder E-Mail-Adressen von Benutzern, eine je Zeile.
admin-managers-about = Verwalter erstellen, ersetzen und widerrufen seine Tokens.
admin-manager = Kennung oder E-Mail-Adresse eines Benutzers
admin-manager-since = Verwalter seit
admin-add-manager = Verwalter hinzufügen
admin-manager-added = Der Benutzer ist jetzt Verwalter.
admin-manager-removed = Der Benutzer ist nicht mehr Verwalter.
admin-service-disable-about = Seine Tokens werden abgelehnt, bis Sie es wieder freigeben.
admin-service-enable-about = Seine Tokens gelten wieder.
admin-delete-service = Dienstkonto löschen
admin-delete-service-about = Seine Tokens und Umgebungen enden mit ihm. Das lässt sich nicht rückgängig machen.
admin-revoke-found = Alle widerrufen, die der Filter findet
admin-revoke-every = Jedes Token dieses Servers widerrufen
admin-revoke-successors = { $count ->
    [one] 1 davon ist ein Nachfolger, der mit seinem Token endet.
   *[other] { $count } davon sind Nachfolger, die mit ihren Tokens enden.
}
admin-revoke-more = { $count ->
    [one] 1 weiteres wird nicht gezeigt.
   *[other] { $count } weitere werden nicht gezeigt.
}
filter-title = Filter
filter-none = Ohne Filter
filter-owner-hint = Kennung oder E-Mail-Adresse
filter-id-hint = Kennung
filter-service-account = Von einem Dienstkonto
filter-kind = Art
filter-kind-personal = Persönliches Token
filter-kind-environment = Umgebungstoken
filter-ability = Umfasst das Recht
filter-created-after = Erstellt ab
filter-created-before = Erstellt vor
filter-expires-after = Läuft ab ab
filter-expires-before = Läuft ab vor
filter-used-after = Zuletzt benutzt ab
filter-used-before = Zuletzt benutzt vor
filter-time-hint = 2030-01-31T12:00:00Z
filter-unused-for = Unbenutzt seit
filter-duration-hint = 90d
filter-actor = Wer: Kennung eines Benutzers oder Dienstkontos
filter-subject = Worüber: Kennung eines Kontos, Tokens oder einer Umgebung
filter-address = Von der Adresse oder dem Netz
filter-day-hint = Ein Tag wie 2030-01-31 oder eine Zeit wie 2030-01-31T12:00:00Z.
admin-one-process = Die Datenbank ist eine Datei, darum bedient sie ein Prozess. Mehrere Knoten brauchen PostgreSQL.
admin-nodes-about = Die Server, die sich die Datenbank teilen. Ein Widerruf wird beantwortet, wenn ihn jeder aktive angewendet hat.
admin-node-active = Aktiv
admin-node-fencing = Wird ausgeschlossen
admin-node-gone = Weg
admin-node-behind = Änderungen zurück
admin-node-version = Version
admin-node-since = Angemeldet
leaks-about = Fügen Sie Geheimnisse ein, die gefunden wurden, wo sie nicht hingehören. Ihre Tokens und Sitzungen enden sofort, und die Besitzer sehen in ihrer Aktivität, warum.
leaks-secrets = Geheimnisse
leaks-hint = Eines je Zeile, höchstens 1000.
leaks-how-many = Fügen Sie mindestens ein Geheimnis und höchstens { $count } ein, eines je Zeile.
leaks-end = Beenden, wozu diese Geheimnisse gehören
leaks-read = { $count ->
    [0] Keine Zeile ist ein Geheimnis dieses Servers.
    [one] 1 Geheimnis wurde gelesen.
   *[other] { $count } Geheimnisse wurden gelesen.
}
leaks-unknown = { $count ->
    [0] Alle sind bekannt.
    [one] 1 davon gehört hier zu nichts.
   *[other] { $count } davon gehören hier zu nichts.
}
leaks-what = Was geschehen ist
leaks-now = Jetzt beendet
leaks-before = War schon beendet
leaks-canary = Köder: Die Benutzung ist aufgezeichnet
leaks-also = Diese endeten mit ihm:
leaks-sessions = { $count ->
    [one] 1 Sitzung wurde beendet, von
   *[other] { $count } Sitzungen wurden beendet, von
}
