#!/bin/sh
# Hull {{VERSION}} for {{TARGET}}: https://www.apache.org/licenses/LICENSE-2.0
# A shell script with the program packed behind it. The first start unpacks it into a cache folder; later ones only
# start it from there. HULL_CACHE_DIR says where: by default $XDG_CACHE_HOME/hull, ~/Library/Caches/hull on macOS,
# and ~/.cache/hull elsewhere. What lies there may be removed whenever no Hull runs.

case $#:${1-} in 1:--version) echo '{{VERSION}}'; exit 0 ;; esac

fail() {
  printf 'hull: %s\n' "$@" >&2
  exit 1
}

default_cache() {
  case ${XDG_CACHE_HOME-} in /*) echo "$XDG_CACHE_HOME/hull"; return ;; esac
  case ${HOME-}:{{OS}} in
    /*:darwin) echo "$HOME/Library/Caches/hull" ;;
    /*) echo "${HOME%/}/.cache/hull" ;;
  esac
}

cache=${HULL_CACHE_DIR:-$(default_cache)}
case $cache in
  '') fail 'There is no home folder to keep the unpacked program in.' \
    'Set HULL_CACHE_DIR to a folder that can be written.' ;;
  /*) ;;
  *) cache=$PWD/$cache ;;
esac
program=$cache/{{ID}}

# In a subshell: it leaves nothing behind, however it ends.
unpack() (
  system=$(uname -sm)
  case $system in
    {{UNAME}}) ;;
    *) fail "This is Hull for {{TARGET}}, and this machine is another ($system)." ;;
  esac
  new=
  trap '[ -z "$new" ] || rm -rf "$new"' EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
  mkdir -p "$cache" 2>/dev/null && new=$(mktemp -d "$cache/unpacking-XXXXXXXX" 2>/dev/null) ||
    fail "The folder $cache cannot be written, but the first start unpacks the program there." \
      'Make it writable, or set HULL_CACHE_DIR to a folder that is.'
  # What starts left that were killed, at least a day ago.
  find "$cache"/unpacking-* -prune -mtime +0 -exec rm -rf {} + 2>/dev/null
  # The exit status of a pipe is that of its last command; it is gzip that knows whether these are the bytes packed.
  said=$({ { tail -c +{{OFFSET}} "$0" | gzip -dc || echo 'gzip failed' >&2; } |
    tar -xof - -C "$new" || echo 'tar failed'; } 2>&1)
  case $said in
    *' failed'*) fail "The program could not be unpacked into $cache: $(echo "$said" | sed 1q)" \
      'It takes {{MIB}} MiB there. If there is more space than that, download Hull again: this file is damaged.' ;;
  esac
  chmod -R a+rX "$new" && chmod a+rx "$new"/deno "$new"/app/node_modules/@esbuild/*/bin/esbuild ||
    fail "The folder $cache cannot hold programs."
  reason=$("$new/deno" --version 2>&1 >/dev/null) ||
    fail "The unpacked program does not run on this machine: $reason" \
      "It needs {{LIBC}}, and $cache must not lie on a disk that is mounted with noexec."
  # Renaming is atomic. Onto the folder of another start that was faster, it is a move into it.
  mv "$new" "$program" 2>/dev/null || [ -d "$program" ] || fail "The folder $cache cannot be written."
  rm -rf "$program/${new##*/}"
  new=
)

[ -d "$program" ] || unpack || exit

case $0 in
  /*) HULL_EXECUTABLE=$0 ;;
  *) HULL_EXECUTABLE=$PWD/${0#./} ;;
esac
# DENO_DIR is for compiled code, by Deno; nobody on the network is asked about a newer Deno.
export HULL_EXECUTABLE DENO_DIR="$program/deno_cache" DENO_NO_UPDATE_CHECK=1
exec "$program/deno" run --quiet --allow-all --no-prompt --cached-only "$program/app/main.js" "$@"
