#!/usr/bin/env bash
# Sign-up and sign-in with a code, with curl: verify.sh signup NAME NUMBER, verify.sh signin NAME.
# The code is read from the keyboard. A real sign-in also asks for a password before it sends anything.
set -euo pipefail
service=${PHLO_2FA_URL:-http://127.0.0.1:8080} key=${PHLO_2FA_KEY:-demo} accounts=${ACCOUNTS:-accounts.txt}

ask() { # PATH BODY: the service's answer; a repeated request has no second effect
  curl -sS "$service/v1/verifications$1" -H "Authorization: Bearer $key" -H 'Content-Type: application/json' \
    -H "Idempotency-Key: $(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')" -d "$2" --retry 3
}
field() { grep -o "\"$1\":\"[^\"]*" | head -n 1 | cut -d '"' -f 4 || true; } # the first of its name

purpose=${1:-} name=${2:-} # a name is letters, so that it cannot be mistaken for a pattern
[[ $name =~ ^[a-z]+$ ]] || { echo "usage: $0 signup NAME NUMBER, or $0 signin NAME" >&2; exit 2; }
number=$(sed -n "s/^$name //p" "$accounts" 2>/dev/null || true)
case "$purpose" in
  signup) [ -z "$number" ] || { echo "$name has an account." >&2; exit 1; }
    number=${3:?the number, such as +14155550100} ;;
  signin) [ -n "$number" ] || { echo "$name has no account." >&2; exit 1; } ;; # the account's number, nothing typed in
  *) echo "signup or signin?" >&2; exit 2 ;;
esac
[[ $number =~ ^\+[0-9]+$ ]] || { echo "Write the number like +14155550100." >&2; exit 1; }

created=$(ask "" "{\"to\":\"$number\",\"purpose\":\"$purpose\"}")
id=$(field id <<<"$created")
[ -n "$id" ] || { field user_message <<<"$created" >&2; exit 1; }
echo "A code is on its way to $(field to <<<"$created")."

while read -rp "Code, or call: " code; do
  if [ "$code" = call ]; then
    ask "/$id/attempts" '{"channel":"call"}' | field user_message
    continue
  fi
  checked=$(ask "/$id/checks" "{\"code\":\"${code//[^0-9]/}\"}")
  if [ "$(field result <<<"$checked")" = verified ]; then
    [ "$purpose" = signin ] || echo "$name $number" >>"$accounts"
    echo "$name is signed in."
    exit
  fi
  field user_message <<<"$checked"
  # A wrong code, or no code at all, may be followed by another; every other answer is the end.
  [[ "$(field result <<<"$checked")" = incorrect || "$(field code <<<"$checked")" = invalid_code ]] || exit 1
done
exit 1
