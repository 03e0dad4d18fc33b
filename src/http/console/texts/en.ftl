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
new-full-warning = With full access, anybody who has the secret can do everything that you can do, also in what is added later.
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

## Environments
environment = Environment
environments-title = Environments
environments-about = An environment holds tokens for machines. Such a token stands for its environment and for no person.
environments-of-token = A token of the environment
environments-none = You see no environment.
environments-current = Current
environments-default = default
environments-your-role = Your role
environments-role = Role
environments-role-of = Role of { $name }
environments-role-viewer = Viewer
environments-role-admin = Admin
environments-role-owner = Owner
environments-new = New environment
environments-create = Create the environment
environments-created = The environment is created.
environments-renamed = The environment is renamed.
environments-deleted = The environment is deleted, and its tokens have ended.
environments-left = You have left the environment.
environments-members = Members
environments-members-about = Viewers see the tokens. Admins can also create, change and revoke them.
environments-since = Member since
environments-add = Add a member
environments-user-id = Id of the user
environments-user-id-hint = Users find their id on the page of their account.
environments-remove = Remove
environments-member-set = The member has the role now.
environments-member-removed = The member is removed.
environments-current-about = The current environment is the one that programs use if you name none.
environments-make-current = Make it the current one
environments-now-current = This is your current environment now.
environments-rename = Rename
environments-delete = Delete the environment
environments-delete-about = Its tokens end with it, and programs that use them are refused. This cannot be undone.
environments-default-stays = The default environment cannot be deleted.
environments-leave = Leave the environment
environments-leave-about = You do not see it any more. Its owner can add you again.
environments-regenerate = Regenerate the secret
environments-regenerate-about = You get a new secret, and the old one ends at once. Abilities and expiry stay.
type-name = Type { $name } to confirm.

## Administration
admin-title = Administration
yes = Yes
no = No
admin-users = Users
admin-services = Service accounts
admin-tokens = All tokens
admin-audit = Audit trail
admin-nodes = Nodes
admin-leaks = Leaked secrets
admin-role-member = Member
admin-role-admin = Administrator
admin-role-about = An administrator can do everything on these pages.
admin-invited = Invited
admin-search-user = Search by name or address
admin-sort-name = By name
admin-sort-email = By e-mail address
admin-no-user = No user fits.
admin-invite = Invite a user
admin-invite-about = You get a link with which the user sets a password. Send it to them: this server sends no e-mail.
admin-invite-do = Make the invitation
admin-link-title = Link to set a password
admin-link-once = Copy the link now, and give it to the user. It is shown this once, and it works once.
admin-link-leave = You have not copied the link. It will not be shown again.
admin-link = Link
admin-link-expires = Link to set a password expires
admin-signed-in = Last sign-in
admin-owns = What belongs to this user
admin-manages = Managed service accounts
admin-all-tokens = All tokens of this owner
admin-manage-tokens = Manage its tokens
admin-change = Name, address and role
admin-changed = The account is changed.
admin-disabled = The account is disabled.
admin-enabled = The account is enabled.
admin-end-sessions = End all sessions
admin-end-sessions-about = The user must sign in again everywhere. Their tokens stay valid.
admin-sessions-ended = All sessions of the user have ended.
admin-reset = Reset the password
admin-reset-about = The present password and all sessions of the user end. You get a link with which the user sets another password.
admin-hand-over = Hand over
admin-hand-over-about = The tokens and environments get another owner. Their secrets stay valid, and stand for the new owner from then on.
admin-hand-over-what = Choose tokens, environments or both.
admin-handed-over = The chosen things have another owner now.
admin-new-owner = New owner: id or e-mail address
admin-disable-about = The user cannot sign in, and checks refuse their tokens, until you enable the account again.
admin-enable-about = The user can sign in again, and their tokens are accepted.
admin-delete-user = Delete the user
admin-delete-user-about = Tokens, sessions and environments of the user end. This cannot be undone.
admin-transfer-to = Hand tokens and environments over to (id or e-mail address)
admin-user-deleted = The user is deleted.
admin-no-service = No service account fits.
admin-new-service = New service account
admin-create-service = Create the service account
admin-service-about = A service account owns tokens for a team or a machine. Its managers make them.
admin-service-created = The service account is created.
admin-service-deleted = The service account is deleted, and its tokens have ended.
admin-managers = Managers
admin-managers-hint = Ids or e-mail addresses of users, one in a line.
admin-managers-about = Managers make, rotate and revoke its tokens.
admin-manager = Id or e-mail address of a user
admin-manager-since = Manager since
admin-add-manager = Add a manager
admin-manager-added = The user is a manager now.
admin-manager-removed = The user is no manager any more.
admin-service-disable-about = Checks refuse its tokens until you enable it again.
admin-service-enable-about = Its tokens are accepted again.
admin-delete-service = Delete the service account
admin-delete-service-about = Its tokens and environments end with it. This cannot be undone.
admin-revoke-found = Revoke all that the filter finds
admin-revoke-every = Revoke every token of this server
admin-revoke-successors = { $count ->
    [one] 1 of them is a successor that ends with its token.
   *[other] { $count } of them are successors that end with their tokens.
}
admin-revoke-more = { $count ->
    [one] 1 more is not shown.
   *[other] { $count } more are not shown.
}
filter-title = Filters
filter-none = Without a filter
filter-owner-hint = id or e-mail address
filter-id-hint = id
filter-service-account = Of a service account
filter-kind = Kind
filter-kind-personal = Personal token
filter-kind-environment = Environment token
filter-ability = Covers the ability
filter-created-after = Created from
filter-created-before = Created before
filter-expires-after = Expires from
filter-expires-before = Expires before
filter-used-after = Last used from
filter-used-before = Last used before
filter-time-hint = 2030-01-31T12:00:00Z
filter-unused-for = Unused for
filter-duration-hint = 90d
filter-actor = Who: id of a user or service account
filter-subject = About: id of an account, token or environment
filter-address = From the address or network
filter-day-hint = A day such as 2030-01-31, or a time such as 2030-01-31T12:00:00Z.
admin-one-process = The database is a file, so one process serves it. Several nodes need PostgreSQL.
admin-nodes-about = The servers that share the database. A revocation is answered when every active one has applied it.
admin-node-active = Active
admin-node-fencing = Fencing
admin-node-gone = Gone
admin-node-behind = Changes behind
admin-node-version = Version
admin-node-since = Registered
leaks-about = Paste secrets that were found where they should not be. Their tokens and sessions end at once, and their owners see why in their activity.
leaks-secrets = Secrets
leaks-hint = One in a line, at most 1000.
leaks-how-many = Paste at least one secret and at most { $count }, one in a line.
leaks-end = End what these secrets belong to
leaks-read = { $count ->
    [0] No line is a secret of this server.
    [one] 1 secret was read.
   *[other] { $count } secrets were read.
}
leaks-unknown = { $count ->
    [0] All of them are known.
    [one] 1 of them belongs to nothing here.
   *[other] { $count } of them belong to nothing here.
}
leaks-what = What happened
leaks-now = Ended now
leaks-before = Had ended before
leaks-canary = Canary: the use is recorded
leaks-also = These ended with it:
leaks-sessions = { $count ->
    [one] 1 session ended, of
   *[other] { $count } sessions ended, of
}
