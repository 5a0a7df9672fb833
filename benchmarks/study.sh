#!/usr/bin/env bash
# The study of benchmarks/study.md: benchmarks/study.sh FOLDER. What was interrupted goes on when it is called again.
# SETUPS workloads for each number of APPS; fewer of them make a quick one.
set -euo pipefail
data=$(cd "$(dirname "$0")/../data" && pwd)
config=$(cd "$(dirname "$0")" && pwd)/study.ini
out=$1
mkdir -p "$out"

curves=()
for curve in "$data"/curves/*.csv; do
    curves+=(--curve "$curve")
done
for apps in ${APPS:-$(seq 25)}; do
    mainstream workloads generate -n "$apps" --setups "${SETUPS:-100}" --seed 1 --stream-fps 10 --config "$config" \
        "${curves[@]}" --profile "$data/profiles/mobilenetv2-96.json" -o "$out/$apps.jsonl"
done
for apps in ${APPS:-$(seq 25)}; do
    cat "$out/$apps.jsonl"
done >"$out/workloads.jsonl"
for event_model in windowed released; do
    mainstream experiment 25 "$out/$event_model" --workloads "$out/workloads.jsonl" --event-model "$event_model" \
        --budget 5%,15%,30%,60%,100% --jobs "${JOBS:-1}" \
        --versions mainstream,no-sharing,max-sharing,max-sharing-best,static-fps,greedy,greedy-released
done
mainstream report "$out/windowed.csv" "$out/released.csv" -o "$out/study.html" --title "Mainstream: the study"
