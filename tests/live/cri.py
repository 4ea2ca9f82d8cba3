"""What a kubelet asks of a runtime: cri.py SOCKET STEP ARGUMENT..., without crictl and protobuf.

    sandbox NAMESPACE POD UID PARENT              makes a pod with the node's network; prints the sandbox's id
    container SANDBOX NAMESPACE POD UID PARENT NAME IMAGE BYTES ATTEMPT LOG
                                                  makes and starts a container in it; prints its id
    remove CONTAINER                              stops and removes a container
    remove_sandbox SANDBOX                        stops and removes a pod with all its containers
"""
import os
import struct
import subprocess
import sys
import tempfile


def number(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    """Of (field number, value): text, bytes of another message, or a number."""
    out = b""
    for field, value in fields:
        if isinstance(value, int):
            out += number(field << 3) + number(value)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += number(field << 3 | 2) + number(len(value)) + value
    return out


def call(socket, method, request):
    """The answer's first field when that is a text: the id of what was made."""
    with tempfile.TemporaryDirectory() as folder:
        body, head, out = (os.path.join(folder, name) for name in ("body", "head", "out"))
        with open(body, "wb") as file:
            file.write(b"\0" + struct.pack(">I", len(request)) + request)
        subprocess.run(
            ["curl", "-sS", "--max-time", "30", "--http2-prior-knowledge", "--unix-socket", socket,
             "-H", "content-type: application/grpc", "-H", "te: trailers", "--data-binary", "@" + body,
             "-D", head, "-o", out, "http://localhost/runtime.v1.RuntimeService/" + method],
            check=True)
        headers = open(head).read()
        if "grpc-status: 0" not in headers:
            sys.exit(method + ": " + headers)
        answer = open(out, "rb").read()[5:]
        return answer[2:2 + answer[1]].decode() if answer[:1] == b"\n" else ""


def labels(*pairs):
    return [(message((1, key), (2, value))) for key, value in pairs]


def sandbox_config(namespace, pod, uid, parent):
    names = labels(("io.kubernetes.pod.name", pod), ("io.kubernetes.pod.namespace", namespace),
                   ("io.kubernetes.pod.uid", uid))
    logs = f"/var/log/pods/{namespace}_{pod}_{uid}"
    os.makedirs(logs, exist_ok=True)
    node = message((1, 2))
    return message((1, message((1, pod), (2, uid), (3, namespace))), (3, logs),
                   *[(6, label) for label in names],
                   (8, message((1, parent), (2, message((1, node))))))


def main():
    socket, step, args = sys.argv[1], sys.argv[2], sys.argv[3:]
    if step == "sandbox":
        print(call(socket, "RunPodSandbox", message((1, sandbox_config(*args)))))
    elif step == "container":
        sandbox, namespace, pod, uid, parent, name, image, most, attempt, log = args
        names = labels(("io.kubernetes.pod.name", pod), ("io.kubernetes.pod.namespace", namespace),
                       ("io.kubernetes.pod.uid", uid), ("io.kubernetes.container.name", name))
        os.makedirs(f"/var/log/pods/{namespace}_{pod}_{uid}/{name}", exist_ok=True)
        resources = message((3, 102), (4, int(most)))
        config = message((1, message((1, name), (2, int(attempt)))), (2, message((1, image))),
                         *[(9, label) for label in names], (11, log),
                         (15, message((1, resources), (2, message((3, message((1, 2))))))))
        made = call(socket, "CreateContainer",
                    message((1, sandbox), (2, config), (3, sandbox_config(namespace, pod, uid, parent))))
        call(socket, "StartContainer", message((1, made)))
        print(made)
    elif step == "remove":
        call(socket, "StopContainer", message((1, args[0])))
        call(socket, "RemoveContainer", message((1, args[0])))
    elif step == "remove_sandbox":
        call(socket, "StopPodSandbox", message((1, args[0])))
        call(socket, "RemovePodSandbox", message((1, args[0])))
    else:
        sys.exit(f"cri.py: no step {step}")


main()
