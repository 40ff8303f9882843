#!/usr/bin/env bash
# A cluster of one node on this machine, from Debian's packages, and eight jobs of the archive at smoke size through it.
# The first job fails once and has to be tried again. Run by hand, as root, on a machine that may be thrown away, for it
# writes /etc/slurm/slurm.conf and a key for munge, and installs the extra "cluster" into .venv:
#
#   bash workflow/try_slurm.sh
set -euo pipefail
cd "$(dirname "$0")/.."
home="$(mktemp -d)"
bin="$PWD/.venv/bin"
studies="gaussian/sizes,vae/stored-replace"  # in five jobs, and in three

apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge > "$home/apt.log"
"$bin/uv" pip install --quiet --python "$bin/python" --editable ".[cluster]"

stop() {
  pkill -x slurmctld || true
  pkill -x slurmd || true
  pkill -x munged || true
}
trap stop EXIT
stop

install -d -o munge -g munge /run/munge
[ -s /etc/munge/munge.key ] || install -o munge -g munge -m 400 <(head -c 1024 /dev/urandom) /etc/munge/munge.key
setpriv --reuid=munge --regid=munge --clear-groups munged
mkdir -p "$home/state" "$home/spool"
mkdir -p /etc/slurm
cat > /etc/slurm/slurm.conf <<CONF
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
JobAcctGatherType=jobacct_gather/none
MinJobAge=600
StateSaveLocation=$home/state
SlurmdSpoolDir=$home/spool
SlurmctldPidFile=$home/slurmctld.pid
SlurmdPidFile=$home/slurmd.pid
SlurmctldLogFile=$home/slurmctld.log
SlurmdLogFile=$home/slurmd.log
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo)
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld
slurmd
for _ in $(seq 30); do sinfo --noheader --format %T | grep -q idle && break; sleep 1; done
sinfo
sinfo --noheader --format %T | grep -q idle || { echo "no node became idle" >&2; exit 1; }

# model-collapse as jobs find it: the very first call fails, all others go through
mkdir "$home/bin"
cat > "$home/bin/model-collapse" <<WRAPPER
#!/usr/bin/env bash
if mkdir "$home/failed" 2> /dev/null; then echo "failing once, on purpose" >&2; exit 1; fi
exec "$bin/model-collapse" "\$@"
WRAPPER
chmod +x "$home/bin/model-collapse"
export PATH="$home/bin:$bin:$PATH"
export MODEL_COLLAPSE_CACHE="$home/cache"
mkdir "$home/made"
"$bin/python" -m snakemake --snakefile workflow/archive.smk --directory "$home/made" \
  --workflow-profile workflow/profiles/slurm --config profile=smoke "only=$studies" \
  --slurm-no-account --slurm-status-command squeue --slurm-init-seconds-before-status-checks 5 \
  --seconds-between-status-checks 5 --latency-wait 10 2>&1 | tee "$home/snakemake.log"

echo
squeue --states all --format "%.6i %.12T %.5C %.8m %.10l %.10M"
echo "jobs ended well: $(squeue --states COMPLETED --noheader | wc -l), failed: $(squeue --states FAILED --noheader | wc -l)"
[ "$(squeue --states COMPLETED --noheader | wc -l)" -eq 8 ]
[ "$(squeue --states FAILED --noheader | wc -l)" -eq 1 ]
for name in $(echo "$studies" | tr , ' '); do
  "$bin/model-collapse" verify "${name/\//\/smoke-}" --results "$home/made/data/results"
done
