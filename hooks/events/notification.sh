# shellcheck shell=sh
# SPDX-License-Identifier: Apache-2.0
# What the notifications beside this file have in common: settings, and values of the report. Sourced, never run; needs
# neither jq nor python3.
LC_ALL=C
PATH=${PATH:-/usr/local/bin:/usr/bin:/bin}:/usr/sbin:/sbin:/usr/lib # sendmail is in one of the last
export LC_ALL PATH

die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

settings=${BELAY_NOTIFY_CONF:-/etc/belay/notify.conf}
case $settings in */*) ;; *) settings=./$settings ;; esac # or it is looked for in PATH
if [ -e "$settings" ]; then
    [ -r "$settings" ] || die "$settings cannot be read by $(id -un)"
    # It is a program, and of a hook belay asks the same.
    [ -z "$(find -L "$settings" -prune \( -perm -0020 -o -perm -0002 \))" ] ||
        die "others may write to $settings: chmod go-w $settings"
    # shellcheck disable=SC1090
    . "$settings"
fi

# needs NAME VALUE: a setting that must be there.
needs() { [ -n "$2" ] || die "$1 is not set: write $1=... into $settings"; }

# program NAME PACKAGE: a program that must be there.
program() { command -v "$1" >/dev/null || die "there is no program $1 here: install $2"; }

# values KEY...: of the report on standard input the texts of these keys, a line each in this order, empty for what is
# missing or no text. They are for people: of escapes only those that print are put back.
#
# Between two quotation marks is either all of a text (or its part up to an escaped mark) or nothing of one. So the layout
# of the document does not matter, and a text that looks like a key is none.
values() {
    awk -v wanted="$*" '
        function readable(text,    plain, mark) {
            while (match(text, /\\(u....|.)/)) {
                mark = substr(text, RSTART + 1, RLENGTH - 1)
                mark = mark ~ /^["\\\/]$/ ? mark : mark ~ /^(u00[01].|u007[fF]|[bfnrt])$/ ? " " : "?"
                plain = plain substr(text, 1, RSTART - 1) mark
                text = substr(text, RSTART + RLENGTH)
            }
            plain = plain text
            gsub(/[\001-\037\177]/, " ", plain)
            return plain
        }
        BEGIN { RS = "\"" }
        !within {
            key = depth == 1 && $0 ~ /^[ \t\r\n]*:[ \t\r\n]*$/ ? text : ""
            depth += gsub(/[[{]/, "") - gsub(/[]}]/, "")
            within = 1
            text = ""
            next
        }
        {
            text = text $0
            if (match($0, /\\+$/) && RLENGTH % 2 == 1) {
                text = text "\""
                next
            }
            if (key != "") found[key] = text
            within = 0
        }
        END {
            count = split(wanted, keys, " ")
            for (i = 1; i <= count; i++) print readable(found[keys[i]])
        }'
}

# What is surely an atom of a header or of a title.
word() { printf '%s' "$1" | tr -cd 'A-Za-z0-9._-'; }

# headline INSTANCE OUTCOME REASON: "web1 rolled-back (check-failed)".
headline() {
    printf '%s' "$(word "${BELAY_INSTANCE:-$1}")"
    case ${BELAY_PROJECT:-default} in
        default) ;;
        *) printf ' of project %s' "$(word "$BELAY_PROJECT")" ;;
    esac
    printf ' %s' "$(word "${2:-${BELAY_PHASE:-}}")"
    case $3 in
        '' | ok) ;;
        *) printf ' (%s)' "$(word "$3")" ;;
    esac
}

# post URL HEADERS: standard input to there, with these headers (a line each). An answer of 400 and above is a failure.
# Address and headers may be secrets: they stay off the command line, which everybody on this host can read.
post() {
    curl --fail --silent --show-error --output /dev/null --data-binary @- \
        --connect-timeout 5 --max-time 8 --retry 2 --retry-connrefused --retry-max-time 16 --config /dev/fd/3 3<<END ||
$(printf '%s\n' "$1" | quoted url)
$(printf '%s\n' "$2" | quoted header)
END
        die "curl ended with $?"
}

# Lines as options of a configuration of curl.
quoted() { tr -d '\r' | sed "/^ *\$/d; s/[\\\\\"]/\\\\&/g; s/.*/$1 = \"&\"/"; }
