"""Programs of a machine of their own: what they write below /etc and /root is seen by them alone and ends with them, and so do
all processes that they start."""

# tmpfs, because a layer cannot lie on every file system (containers have layers of their own).
_START = """
set -e
mount -t tmpfs tmpfs "$LAYERS"
for folder in /etc /root; do
    mkdir -p "$LAYERS$folder/upper" "$LAYERS$folder/work"
    mount -t overlay overlay -o "lowerdir=$folder,upperdir=$LAYERS$folder/upper,workdir=$LAYERS$folder/work" "$folder"
done
mount -t tmpfs tmpfs /run
exec "$@"
"""


def layered(directory, argv, *more):
    """The command that runs another one so, and what its environment must hold. `more` goes to unshare: `--net`."""
    layers = directory / "layers"
    layers.mkdir(parents=True)
    apart = ["unshare", "--mount", "--propagation", "private", "--pid", "--mount-proc", "--fork", "--kill-child", *more]
    return [*apart, "bash", "-c", _START, "layered", *argv], {"LAYERS": layers}
