# The texts of the console in English, in the format of Project Fluent. Each language has a file with the same ids.

## Every page
skip = Skip to the content
nav = Pages
sign-out = Sign out
zone-utc = All times are in UTC.
zone-local = All times are in your time zone:
copied = Copied.
not-copied = The browser did not allow it. The text is selected: copy it with Ctrl+C.
filter-shown = shown
errors-title = Please correct this:
error-home = To the start of the console
cancel = Cancel
save = Save
copy = Copy
optional = (optional)
page-first = First page
page-next = Next page
name = Name
description = Description
email = E-mail address
password = Password
new-password = New password
current-password = Current password
password-length = At least { $count } characters, and not easy to guess.
abilities = Abilities
full-access = Full access
no-abilities = No abilities
state = State
last-used = Last used
never-used = Never
expires = Expires
expires-never = Never
expires-soon = Soon
created = Created
metadata = Metadata
day = Day
allowed = Allowed
refused = Refused
what-for = Policies and abilities
everything = Everything
outcome = Outcome
done = Done
from-day = From
until-day = Until
when = When
what = What
on-what = On what
by-whom = By whom

## Times
time-now = just now
time-ago = { $span } ago
time-in = in { $span }
span-seconds = { $count ->
    [one] 1 second
   *[other] { $count } seconds
}
span-minutes = { $count ->
    [one] 1 minute
   *[other] { $count } minutes
}
span-hours = { $count ->
    [one] 1 hour
   *[other] { $count } hours
}
span-days = { $count ->
    [one] 1 day
   *[other] { $count } days
}
span-months = { $count ->
    [one] 1 month
   *[other] { $count } months
}
span-years = { $count ->
    [one] 1 year
   *[other] { $count } years
}

## Errors
error-no-page = There is no such page.
error-no-page-way-out = Check the address, or start from the beginning of the console.
error-not-found = This does not exist any more, or it is not yours.
error-not-found-way-out = It may have been deleted meanwhile.
error-foreign = This form did not come from a page of this server, so nothing was done.
error-foreign-way-out = Open the page here and send the form again. If you did, your browser is too old or hides where its forms come from.
error-throttled = There were too many attempts.
error-wait = { $count ->
    [one] Wait for 1 second, then try again.
   *[other] Wait for { $count } seconds, then try again.
}
error-sign-in = The e-mail address and the password do not belong together.
error-sign-in-way-out = Check both. An administrator can reset your password.
error-busy = Too many people are signing in at this moment.
error-admin = Only an administrator may do this.
error-role = Your role in this environment does not allow this.
error-unavailable = The server cannot answer at this moment.

## Sign-in
sign-in-title = Sign in
sign-in-first = Sign in to see this page.
sign-in-signed-out = You are signed out.
sign-in-password-set = Your password is set. Sign in with it.
sign-in-deleted = Your account is deleted, and your tokens have ended.
sign-in-empty = This server has no users yet
sign-in-empty-hint = Create the first one on the machine that it runs on:
sign-in-forgotten = Password forgotten? Ask your administrator for a link to set another one.
no-cookie-title = You are not signed in
no-cookie-why = The browser did not keep the cookie of this server. Allow cookies for this site.
no-cookie-https = This server keeps you signed in over HTTPS alone, except on this machine. If its address begins with http://, ask your administrator to put a proxy with HTTPS in front of it.
no-cookie-again = Sign in again
set-password-title = Set a password
set-password-about = An administrator has given you a link or a code. It works once.
set-password-code = Code

## Tokens
tokens-title = Tokens
tokens-owner = Owner
tokens-owner-you = You
tokens-states = States
tokens-state-active = Active
tokens-state-expired = Expired
tokens-state-revoked = Revoked
tokens-state-all = All
tokens-search = Search by name
tokens-sort = Order
tokens-sort-newest = Newest first
tokens-sort-oldest = Oldest first
tokens-sort-used = Last used first
tokens-sort-unused = Unused for longest first
tokens-sort-expires = Expiring first
tokens-apply = Show
tokens-none = No token fits.
tokens-choose = Choose
tokens-choose-one = Choose { $name }
tokens-more-abilities = and { $count } more
tokens-revoke-chosen = Revoke the chosen tokens
tokens-none-chosen = Choose at least one token.
tokens-revoke-several = { $count ->
    [one] Revoke 1 token
   *[other] Revoke { $count } tokens
}
tokens-revoked-notice = { $count ->
    [0] No token was revoked: all of them had ended already.
    [one] 1 token was revoked.
   *[other] { $count } tokens were revoked.
}
tokens-type-count = Type { $count } to confirm how many tokens you revoke.
tokens-empty-title = You have no active tokens
tokens-empty-about = A token lets a script or a program use an API in your name, without your password:
tokens-empty-step-1 = Make a token for one purpose, with the abilities that it needs.
tokens-empty-step-2 = Copy its secret into the program. It is shown once.
tokens-empty-step-3 = See here what it is used for, and revoke it at any time.
tokens-empty-first = Make your first token
status-active = Active
status-expired = Expired
status-disabled = Disabled
status-canary = Canary
status-rotated-grace = Rotated, ends soon
status-revoked = Revoked
status-rotated = Rotated
status-leaked = Revoked after a leak
status-reuse = Revoked after reuse
revoke-about = Programs that use these secrets are refused from their next request on. This cannot be undone.

## A new token
new-title = New token
new-name-hint = What it is for, such as the name of the program that uses it.
new-abilities-hint = What the token may do. Choose as little as the program needs.
new-abilities-search = Search among the abilities
new-reserved = for administrators to grant
new-more-abilities = Other abilities
new-more-any = Separated by spaces, such as calls:read agents:*
new-more-wildcards = Separated by spaces: abilities with a wildcard, such as calls:*
new-full-warning = With full access, whoever has the secret can do everything that you can do, also in what is added later.
new-date = On a date
new-date-label = The last day
new-never = Never: it ends only when somebody revokes it
new-longest = { $count ->
    [one] On this server, a token lasts at most 1 day.
   *[other] On this server, a token lasts at most { $count } days.
}
new-more = More: networks, limits, metadata
new-networks = Only from these networks
new-networks-hint = IP addresses or networks, one in a line, such as 10.0.0.0/8. Without any, the token works from anywhere.
new-rate = Requests a minute
new-quota = Uses in total
new-metadata-hint = One key=value in a line, such as team=payments.
new-metadata-line = "{ $line }" has no "=". Write key=value.
new-canary = Canary token
new-canary-hint = A canary token is refused everywhere, and each use is recorded. Put it where only an intruder would find it.
new-form-too-old = This form is too old. Check it, and send it again.
new-review = Continue to the summary
review-title = Make this token?
review-policies = What it lets through
review-nothing = Nothing that needs a token.
review-not-all = Other rules of this policy refuse it.
review-all = That is everything that this policy lets a token do.
review-create = Make the token
review-change = Change something
already-title = This token was made already
already-about = The form was sent twice, and one token was made. Its secret was shown once. If you did not keep it, rotate the token: you get a new secret.
already-rotate = Rotate it for a new secret
secret-title = Your new token
secret-once = Copy the secret now. It is shown this once, and it is stored nowhere.
secret-of = The secret of { $name }
secret-leave = You have not copied the secret. It will not be shown again.
secret-use = Use it
secret-variable = As an environment variable
secret-lost = Lost it later?
secret-done = Done
secret-old-ended = The old secret has ended.
secret-old-ends = The old secret ends in { $span }.
secret-old-ends-first-use = The old secret ends with the first use of the new one, or in { $span }.

## One token
token-like = New token like this one
token-secret-end = Ends with
token-id = Id
token-number = number { $number }
token-quota-left = { $left } left
token-use = Use
token-no-use = No use was recorded.
token-not-counted = This server does not count uses.
token-counted-since = Counted since
token-days = Use by day
token-used-abilities = Abilities that it used
token-unused-abilities = Abilities that it never used
token-unused-rules = What it could do besides
token-addresses = Addresses that it was used from
token-family = Rotations
token-this = This token
token-events = { $count ->
    [one] 1 event
   *[other] { $count } events
}
token-change = Change
token-rename = Rename or describe
token-rotate = Rotate
token-rotate-about = You get a new secret with the same abilities and expiry. The old secret goes on for a while, so that no program stops.
token-old-ends = The old secret ends
token-on-first-use = or as soon as the new one is used
rotate-at-once = at once
rotate-after = after { $span }
token-narrow-about = The token used only these abilities:
token-narrow = Rotate to what is used
token-disable = Disable
token-disable-about = A disabled token is refused until you enable it again.
token-enable = Enable
token-enable-about = Programs can use the token again.
token-revoke = Revoke
token-renamed = The token is changed.
token-disabled = The token is disabled.
token-enabled = The token is enabled.
token-revoked = The token is revoked.
chart-summary = { $count ->
    [one] 1 use in 30 days
   *[other] { $count } uses in 30 days
}

## Sessions
sessions-title = Sessions
sessions-about = Each sign-in is a session: here, over the API, or from a command line.
sessions-unnamed = Session without a name
sessions-current = This one
sessions-end = End this session
sessions-end-others = End all other sessions
sessions-ended = The session has ended.
sessions-others-ended = All other sessions have ended.

## Account
account-title = Account
account-renamed = Your name is changed.
account-email-changed = Your e-mail address is changed.
account-email-fixed = An administrator can change it.
account-password-change = Change the password
account-password-about = All your other sessions end.
account-password-changed = Your password is changed, and all other sessions have ended.
account-export = Download my data
account-export-about = Everything that is stored about you, as JSON. Secrets are not in it: nobody stores them.
account-delete = Delete my account
account-delete-about = Your tokens, sessions and environments end with it. This cannot be undone.

## Activity
activity-title = Activity
activity-about = What was done with your account and your tokens, the latest first.
actor-session = a session
actor-anonymous = nobody signed in
activity-none = Nothing fits.
