#!/bin/bash
# containerd's CRI plugin, as a kubelet uses it, with sundog as a runtime handler: pods of several containers on a CNI bridge.
here=$(realpath "$(dirname "$0")")
. "$here/lib.sh"
need containerd ctr iptables
cni=/usr/lib/cni
for p in bridge host-local loopback; do [ -x $cni/$p ] || skip "no CNI plugin $p: install containernetworking-plugins"; done
python=/usr/bin/python3
$python -c 'import grpc' 2>/dev/null || skip "no gRPC for $python: install python3-grpcio"
mkdir "$work/cni"
cat >"$work/cni/10.conflist" <<J
{"cniVersion": "0.4.0", "name": "sundog-test", "plugins": [{"type": "bridge", "bridge": "sdcri0", "isGateway": true, "ipMasq": true,
 "ipam": {"type": "host-local", "dataDir": "$work/ipam", "ranges": [[{"subnet": "10.88.77.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}]}
J
cat >"$work/config.toml" <<TOML
version = 2
root = "$work/root"
state = "$work/state"
oom_score = 0
[grpc]
  address = "$work/c.sock"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "localhost/pause:latest"
  disable_tcp_service = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$cni"
    conf_dir = "$work/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "sundog"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sundog]
    runtime_type = "io.containerd.runc.v2"
    pod_annotations = ["sundog.*"]
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.sundog.options]
      BinaryName = "$SUNDOG"
TOML
# Two images of one layer, in docker's archive format: busybox, and the pod's holder that sleeps.
$python - "$work" <<'P'
import hashlib, json, sys, tarfile
work = sys.argv[1]
layer = hashlib.sha256(open(work + "/image.tar", "rb").read()).hexdigest()
manifest = []
with tarfile.open(work + "/images.tar", "w") as images:
    images.add(work + "/image.tar", arcname="layer.tar")
    for name, cmd in (("bb", ["sh"]), ("pause", ["sleep", "100000"])):
        config = {"architecture": "amd64", "os": "linux", "config": {"Cmd": cmd, "Env": ["PATH=/bin"]},
                  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + layer]}}
        open(f"{work}/{name}.json", "w").write(json.dumps(config))
        images.add(f"{work}/{name}.json", arcname=f"{name}.json")
        manifest.append({"Config": f"{name}.json", "RepoTags": [f"localhost/{name}:latest"], "Layers": ["layer.tar"]})
    open(work + "/manifest.json", "w").write(json.dumps(manifest))
    images.add(work + "/manifest.json", arcname="manifest.json")
P
# The stock shims keep their sockets in /run/containerd, whatever is configured: one of our own.
nsenter -t "$lab" -m -n -- sh -c "mkdir -p /run/containerd && mount -t tmpfs t /run/containerd && echo 1 >/proc/sys/net/ipv4/ip_forward
    exec containerd --config '$work/config.toml'" >"$work/log" 2>&1 &
daemon=$!
c="ctr -a $work/c.sock -n k8s.io"
stop_engine() {
    for t in $(in_lab $c task ls -q); do in_lab $c task rm -f "$t"; done
    kill $daemon
    sleep 2
}
for k in $(seq 60); do in_lab $c version >/dev/null 2>&1 && break; sleep 0.5; done
in_lab $c image import "$work/images.tar" >"$work/import" 2>&1 || skip "containerd does not work here: $(cat "$work/import"; tail -3 "$work/log")"
timeout 400 nsenter -t "$lab" -m -n -- $python "$here/cri_client.py" "$work/c.sock" sundog || { echo "FAIL: pods: $(grep -v level=info "$work/log" | tail -20)"; failures=$((failures + 1)); }
left=$(in_lab $c task ls -q)
[ -z "$left" ] || { echo "FAIL: tasks are left: $left"; failures=$((failures + 1)); }
finish
