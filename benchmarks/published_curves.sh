#!/usr/bin/env bash
# The published curves in place of ours, see benchmarks/study.md: benchmarks/published_curves.sh FOLDER.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$1
(cd "$here/.." && python -m benchmarks.published_curves "$out")

curves=()
for curve in "$out"/*.csv; do
    case $curve in */released.csv) ;; *) curves+=(--curve "$curve") ;; esac
done
for apps in ${APPS:-2 5 10 25}; do
    mainstream workloads generate -n "$apps" --setups "${SETUPS:-50}" --config "$here/study.ini" --stream-fps 10 \
        --budget 350 "${curves[@]}" --profile "$out/profile.json" -o "$out/$apps.jsonl"
done
for apps in ${APPS:-2 5 10 25}; do
    cat "$out/$apps.jsonl"
done >"$out/workloads.jsonl"
mainstream experiment 25 "$out/released" --workloads "$out/workloads.jsonl" --event-model released \
    --budget 5%,15%,30%,60%,100%,350
