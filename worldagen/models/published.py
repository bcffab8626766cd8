"""The published checkpoints: where they are, the conventions they were trained with, and their conversion into ours."""

from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import hf_hub_download

from worldagen.models import adapter, checkpoint, reference
from worldagen.models.conventions import Conventions
from worldagen.models.reference import TTT_ADAPTER
from worldagen.models.weights import CheckpointError
from worldagen.models.worldagen import WorldAgen

REPOSITORY = "MLL-Lab/worldagen"
MAE_FILE = "mae/mae_pretrain_vit_base.pth"


@dataclass(frozen=True)
class Published:
    """One published model."""

    file: str
    """Path inside the hub repository."""
    preset: str
    conventions: Conventions


_PAIRING = "frame k a, actions k a + 1 ... k a + a -> frame k a + a: actions are one frame late"

PUBLISHED = {
    "calvin": Published(
        file="calvin/scratch_qwen_16win_1img_5act/16.pth",
        preset="paper_calvin",
        conventions=Conventions(rotation="Euler xyz, radians", pairing=_PAIRING),
    ),
    "libero": Published(
        file="libero/libero_traj7_len_1img_3act/38.pth",
        preset="paper_libero",
        conventions=Conventions(image="upside down", gripper="+1 close, -1 open"),
    ),
}


def convert(benchmark: str, source: str, mae: str, out: str | Path) -> list[Path]:
    """Write the published model of `benchmark` (calvin or libero) in our format; returns the folders written.

    `source` and `mae` are local `.pth` files; either may be a hub repository id instead, from which the published file
    is downloaded. A test-time-trained file gives a second folder, `<out>-adapter`. Raises CheckpointError when the
    tensors do not fit or a download fails.
    """
    about = PUBLISHED[benchmark]
    files = _local(source, about.file), _local(mae, MAE_FILE) if mae else ""
    model = WorldAgen.from_reference(*files, reference.paper_config(about.preset))
    model.conventions = about.conventions
    provenance = {"imported_from": source, "mae": mae, "benchmark": benchmark}
    written = [checkpoint.save(model, out, provenance)]
    if TTT_ADAPTER in adapter.names(model):
        written.append(adapter.save(model, TTT_ADAPTER, f"{out}-adapter", provenance))
    return written


def _local(source: str, file: str) -> Path:
    """A local file as it is; of anything that looks like a repository id, `file` from the hub's cache."""
    path = Path(source)
    if path.exists() or path.suffix or source.count("/") != 1:
        return path
    try:
        return Path(hf_hub_download(source, file))
    except OSError as error:
        raise CheckpointError(f"cannot download {file} of {source}; fetch it elsewhere and give its path") from error
