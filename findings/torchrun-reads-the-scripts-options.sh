#!/usr/bin/env bash
# torch: torchrun refuses a script's own --n (--no, --m, --log, ...), though it comes after the script's name.
#
# Versions: torch 2.13.0 (a CPU build was used; elsewhere it may be a large download), numpy 2.4.6, Python 3.11.7 (the
#   option parser is Python's, and versions differ in when they refuse); pip chooses the rest.
# One would guess: what follows the script's name is the script's.
# Behaviour: torchrun's parser looks at all words first, and stops at one that abbreviates two or more of its options:
#   --n 5 is "ambiguous", since it could be --nnodes or --nproc-per-node. An abbreviation of a single option, as --nn,
#   or of none, reaches the script. So a launch line works until somebody names an option --n. With -- before the
#   script's name everything reaches the script. Known to the library's people: pytorch issue 120601.
# Output seen:
#   --n 5: refused (ambiguous option)
#   --n=5: refused (ambiguous option)
#   --nn 5: reached the script
#   --samples 5: reached the script
#   -- script --n 5: reached the script
set -eu
room=$(mktemp -d)
trap 'rm -rf "$room"' EXIT
python3 -m venv "$room/venv"
"$room/venv/bin/pip" install -q --no-compile torch==2.13.0 numpy==2.4.6
cd "$room"
echo 'import sys; print("got", sys.argv[1:])' > script.py
wrong=0
try() {  # what to expect, what to call it, then torchrun's words
  expected=$1 name=$2
  shift 2
  said=$("$room/venv/bin/torchrun" --nproc-per-node 1 "$@" 2>&1) || true
  case $said in
    *"ambiguous option"*) seen="refused (ambiguous option)" ;;
    *got*) seen="reached the script" ;;
    *) seen="something else: $said" ;;
  esac
  echo "$name: $seen"
  [ "$seen" = "$expected" ] || wrong=1
}
try "refused (ambiguous option)" "--n 5" script.py --n 5
try "refused (ambiguous option)" "--n=5" script.py --n=5
try "reached the script" "--nn 5" script.py --nn 5
try "reached the script" "--samples 5" script.py --samples 5
try "reached the script" "-- script --n 5" -- script.py --n 5
exit $wrong
