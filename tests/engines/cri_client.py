"""A pod with two containers, made, used and removed through containerd's CRI plugin, as a kubelet does it.

Usage: cri_client.py SOCKET HANDLER. Needs gRPC for Python only: of the CRI's messages (k8s.io/cri-api, runtime.v1) just the
fields used here are encoded, by hand. A message is a list of (field number, value); strings, bytes, integers, nested lists.
"""
import sys
import time

import grpc

failures = 0


def varint(n):
    n &= (1 << 64) - 1
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def encode(fields):
    out = b""
    for number, value in fields:
        if isinstance(value, bool) or isinstance(value, int):
            out += varint(number << 3) + varint(int(value))
            continue
        data = value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else encode(value)
        out += varint(number << 3 | 2) + varint(len(data)) + data
    return out


def decode(data):
    """{field number: [values]}; an embedded message stays bytes."""
    at, out = 0, {}

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = number()
        kind = key & 7
        if kind == 0:
            value = number()
        else:
            size = number() if kind == 2 else {1: 8, 5: 4}[kind]
            value, at = data[at:at + size], at + size
        out.setdefault(key >> 3, []).append(value)
    return out


def field(message, *path, default=b""):
    for number in path:
        message = decode(message).get(number, [default])[0]
    return message


def text(message, *path):
    return field(message, *path).decode()


class Cri:
    def __init__(self, socket):
        self.channel = grpc.insecure_channel("unix://" + socket)

    def __call__(self, method, *fields, timeout=120):
        call = self.channel.unary_unary("/runtime.v1.RuntimeService/" + method, request_serializer=encode, response_deserializer=bytes)
        return call(list(fields), timeout=timeout)


def check(what, good, seen=""):
    global failures
    if good:
        return
    failures += 1
    print(f"FAIL: {what}: {seen!r}", flush=True)


def refused(what, call, *codes):
    try:
        answer = call()
    except grpc.RpcError as e:
        check(what, e.code() in codes, f"{e.code()} {e.details()}")
    else:
        check(what, False, answer)


def until(seconds, condition):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.1)
    return condition()


READY = 0                                  # PodSandboxState
CREATED, RUNNING, EXITED = 0, 1, 2         # ContainerState
MEMORY = 64 << 20


class Pod:
    def __init__(self, cri, handler, serial):
        self.cri = cri
        name = f"pod{serial}"
        self.config = [(1, [(1, name), (2, f"uid-{serial}"), (3, "default")]), (2, name), (6, [(1, "app"), (2, name)]), (8, [])]
        self.id = text(cri("RunPodSandbox", (1, self.config), (2, handler)), 1)

    def create(self, name, *command, memory=0, env=()):
        config = [(1, [(1, name)]), (2, [(1, "localhost/bb:latest")])] + [(3, word) for word in command]
        config += [(6, [(1, k), (2, v)]) for k, v in env]
        config += [(15, [(1, [(4, memory)] if memory else [])])]
        return text(self.cri("CreateContainer", (1, self.id), (2, config), (3, self.config)), 1)

    def status(self):
        return field(self.cri("PodSandboxStatus", (1, self.id)), 1)


def state(cri, container):
    return field(cri("ContainerStatus", (1, container)), 1, 3, default=0)


def exec_sync(cri, container, *command, timeout=60):
    answer = cri("ExecSync", (1, container), *((2, word) for word in command), (3, timeout))
    return field(answer, 3, default=0), field(answer, 1).decode(), field(answer, 2).decode()


def listed(cri, pod):
    """{id: state} of a pod's containers."""
    rows = decode(cri("ListContainers", (1, [(3, pod)]))).get(1, [])
    return {text(row, 1): field(row, 6, default=0) for row in rows}


def pod_with_two_containers(cri, handler):
    pod = Pod(cri, handler, 1)
    status = pod.status()
    check("the pod is ready", field(status, 3, default=0) == READY, status)
    check("the pod's handler", text(status, 9) == handler, status)
    address = text(status, 5, 1)
    check("the pod has an address", address.startswith("10.88.77."), address)

    server = pod.create("server", "sh", "-c", "mkdir /w; echo page >/w/index.html; exec httpd -f -p 8080 -h /w", memory=MEMORY)
    client = pod.create("client", "sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.1; done", env=[("WHO", "client")])
    check("created", state(cri, server) == CREATED and state(cri, client) == CREATED, listed(cri, pod.id))
    for container in (server, client):
        cri("StartContainer", (1, container))
    check("both run", listed(cri, pod.id) == {server: RUNNING, client: RUNNING}, listed(cri, pod.id))

    check("exec: status and output", exec_sync(cri, client, "sh", "-c", "echo out $WHO; echo err >&2; exit 3") == (3, "out client\n", "err\n"))
    check("exec of nothing", until(60, lambda: exec_sync(cri, server, "true")[0] == 0))
    refused("exec of a missing program", lambda: exec_sync(cri, client, "nosuch"), grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL)
    refused("exec that takes too long", lambda: exec_sync(cri, client, "sleep", "100", timeout=1), grpc.StatusCode.DEADLINE_EXCEEDED)
    # One network for the pod: the server is at the client's loopback address, and at the pod's on both.
    check("pod's loopback", until(30, lambda: exec_sync(cri, client, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/")[:2] == (0, "page\n")),
          exec_sync(cri, client, "wget", "-q", "-O", "-", "http://127.0.0.1:8080/"))
    check("pod's address", exec_sync(cri, client, "wget", "-q", "-O", "-", f"http://{address}:8080/")[:2] == (0, "page\n"))
    check("eth0 in both", all(address in exec_sync(cri, c, "ip", "-4", "addr", "show", "eth0")[1] for c in (server, client)))
    check("one host name", [exec_sync(cri, c, "hostname")[1] for c in (server, client)] == ["pod1\n"] * 2)
    check("own files", exec_sync(cri, client, "test", "-e", "/w")[0] == 1)
    check("the limit inside", f"{MEMORY // 1024} kB" in exec_sync(cri, server, "grep", "MemTotal", "/proc/meminfo")[1])
    check("no limit for the other", f" {MEMORY // 1024} kB" not in exec_sync(cri, client, "grep", "MemTotal", "/proc/meminfo")[1])
    stats = field(cri("ContainerStats", (1, server)), 1)
    check("memory in use is told", 0 < field(stats, 3, 2, 1, default=0) < 1 << 30, stats)
    cri("UpdateContainerResources", (1, server), (2, [(4, 2 * MEMORY)]))
    check("the new limit inside", f"{2 * MEMORY // 1024} kB" in exec_sync(cri, server, "grep", "MemTotal", "/proc/meminfo")[1])

    # An end by itself, an end asked for, and one by force.
    cri("StopContainer", (1, client), (2, 30))
    check("stopped with its own status", field(cri("ContainerStatus", (1, client)), 1, 7, default=0) == 7, listed(cri, pod.id))
    check("the other goes on", state(cri, server) == RUNNING, listed(cri, pod.id))
    short = pod.create("short", "sh", "-c", "exit 5")
    cri("StartContainer", (1, short))
    check("ended by itself", until(60, lambda: state(cri, short) == EXITED), listed(cri, pod.id))
    check("with its status", field(cri("ContainerStatus", (1, short)), 1, 7, default=0) == 5)
    cri("StopContainer", (1, server), (2, 1))
    check("ended by force", field(cri("ContainerStatus", (1, server)), 1, 7, default=0) in (137, 143), listed(cri, pod.id))
    for container in (client, short, server):
        cri("RemoveContainer", (1, container))
    check("no container is left", listed(cri, pod.id) == {}, listed(cri, pod.id))
    cri("StopPodSandbox", (1, pod.id))
    check("the pod is not ready any more", field(pod.status(), 3, default=0) != READY)
    cri("RemovePodSandbox", (1, pod.id))
    refused("the pod is gone", pod.status, grpc.StatusCode.NOT_FOUND)


def removed_while_running(cri, handler):
    """What a kubelet does to a pod that is deleted at once: stop and removal of the pod alone."""
    pod = Pod(cri, handler, 2)
    for name in ("a", "b"):
        cri("StartContainer", (1, pod.create(name, "sleep", "1000")))
    cri("StopPodSandbox", (1, pod.id))
    cri("RemovePodSandbox", (1, pod.id))
    check("nothing of the pod is left", listed(cri, pod.id) == {}, listed(cri, pod.id))


def main():
    cri, handler = Cri(sys.argv[1]), sys.argv[2]
    check("version", text(cri("Version"), 2) == "containerd")
    pod_with_two_containers(cri, handler)
    removed_while_running(cri, handler)
    sys.exit(failures > 0)


main()
