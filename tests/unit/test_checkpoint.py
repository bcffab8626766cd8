"""Checkpoints: ours come back bit for bit, the authors' are read, and what does not fit is refused by name."""

import json
from pathlib import Path

import pytest
import torch

from tests.small import small_config, small_inputs, small_model
from worldagen.atomic import fresh_folder
from worldagen.models import adapter, checkpoint, published, reference
from worldagen.models.weights import CheckpointError, base_state
from worldagen.models.worldagen import WorldAgen

SHAPES = Path(__file__).parent.parent / "golden" / "reference_shapes.json"


def test_round_trip(tmp_path: Path) -> None:
    model = small_model(mask="compat", text="clip")
    checkpoint.save(model, tmp_path / "checkpoint", {"steps": 7})
    loaded = checkpoint.load(tmp_path / "checkpoint")
    assert loaded.config == model.config
    assert not loaded.training
    inputs = small_inputs(model)
    assert torch.equal(loaded(**inputs).image, model(**inputs).image)
    about = checkpoint.describe(tmp_path / "checkpoint")
    assert about["provenance"] == {"steps": 7}
    assert about["conventions"]["gripper"] == "+1 open, -1 close"
    assert checkpoint.fingerprint(loaded) == checkpoint.fingerprint(tmp_path / "checkpoint")


def test_saving_again_replaces(tmp_path: Path) -> None:
    first, second = small_model(0), small_model(1)
    for model in (first, second):
        checkpoint.save(model, tmp_path / "checkpoint", {})
    assert checkpoint.fingerprint(tmp_path / "checkpoint") == checkpoint.fingerprint(second)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_a_failed_save_leaves_the_old_one(tmp_path: Path) -> None:
    model = small_model()
    checkpoint.save(model, tmp_path / "checkpoint", {})
    with pytest.raises(TypeError):
        checkpoint.save(small_model(1), tmp_path / "checkpoint", {"not JSON": object()})
    assert checkpoint.fingerprint(checkpoint.load(tmp_path / "checkpoint")) == checkpoint.fingerprint(model)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_what_was_there_comes_back_when_replacing_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkpoint.save(small_model(0), tmp_path / "checkpoint", {})
    before, rename = checkpoint.fingerprint(folder), Path.rename

    def fails_into_place(self: Path, target: Path) -> Path:
        if "-new-" in self.name:
            raise OSError("the disk went away")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fails_into_place)
        with pytest.raises(CheckpointError, match="the disk went away; what was there before is kept"):
            checkpoint.save(small_model(1), folder, {})
    assert checkpoint.fingerprint(checkpoint.load(folder)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_what_a_killed_process_moved_away_comes_back_with_the_next_save(tmp_path: Path) -> None:
    folder = checkpoint.save(small_model(0), tmp_path / "checkpoint", {})
    before = checkpoint.fingerprint(folder)
    folder.rename(tmp_path / ".checkpoint-replaced-123")
    with pytest.raises(RuntimeError, match="full"), fresh_folder(folder):
        raise RuntimeError("the disk is full")
    assert checkpoint.fingerprint(checkpoint.load(folder)) == before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_what_a_killed_process_had_replaced_is_deleted_with_the_next_save(tmp_path: Path) -> None:
    folder = checkpoint.save(small_model(0), tmp_path / "run[1]", {})
    (tmp_path / ".run[1]-replaced-123" / "old").mkdir(parents=True)
    checkpoint.save(small_model(1), folder, {})
    assert checkpoint.fingerprint(checkpoint.load(folder)) == checkpoint.fingerprint(small_model(1))
    assert [path.name for path in tmp_path.iterdir()] == ["run[1]"]


def test_an_adapter_is_no_part_of_a_checkpoint(tmp_path: Path) -> None:
    model = small_model()
    before = checkpoint.fingerprint(model)
    adapter.add(model, "a", rank=2, alpha=4.0)
    checkpoint.save(model, tmp_path / "checkpoint", {})
    assert checkpoint.fingerprint(checkpoint.load(tmp_path / "checkpoint")) == before


def test_fingerprint_depends_on_weights_and_configuration() -> None:
    model = small_model()
    found = {checkpoint.fingerprint(model), checkpoint.fingerprint(small_model(mask="compat"))}
    model.offset.data[0] += 1e-6
    assert len(found | {checkpoint.fingerprint(model)}) == 3


def edit(folder: Path, **changes: object) -> None:
    about = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**about, **changes}))


def test_another_size_is_refused_naming_tensors(tmp_path: Path) -> None:
    checkpoint.save(small_model(), tmp_path, {})
    about = checkpoint.describe(tmp_path)
    edit(tmp_path, config={**about["config"], "hidden": 64})
    with pytest.raises(CheckpointError, match=r"text_projector\.weight has shape \(32, 512\), expected \(64, 512\)"):
        checkpoint.load(tmp_path)
    edit(tmp_path, config={**about["config"], "layers": 3})
    with pytest.raises(CheckpointError, match=r"missing backbone\.layers\.2\.self_attn\.q_proj\.weight \(32, 32\)"):
        checkpoint.load(tmp_path)
    edit(tmp_path, config={**about["config"], "layers": 1})
    with pytest.raises(CheckpointError, match=r"unexpected backbone\.layers\.1\."):
        checkpoint.load(tmp_path)


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        checkpoint.load(tmp_path)
    checkpoint.save(small_model(), tmp_path, {})
    edit(tmp_path, config={"hidden": 3})
    with pytest.raises(CheckpointError, match=r"settings missing or unknown: .*chunks"):
        checkpoint.load(tmp_path)
    edit(tmp_path, format_version=99)
    with pytest.raises(CheckpointError, match="format version 99, this worldagen reads 1"):
        checkpoint.load(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.load(tmp_path)


def test_damaged_weights_are_refused(tmp_path: Path) -> None:
    checkpoint.save(small_model(), tmp_path, {})
    path = tmp_path / "model.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-4] + b"\x00\x00\x80\x3f")
    with pytest.raises(CheckpointError, match="do not belong together"):
        checkpoint.load(tmp_path)
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(CheckpointError, match="cannot be read"):
        checkpoint.load(tmp_path)


def reference_config():
    return small_config(
        text="clip", mask="compat", unused_parameters=True, decoder_depth=2, vision_depth=12, resampler_depth=3
    )


def reference_model() -> WorldAgen:
    torch.manual_seed(0)
    return WorldAgen(reference_config()).eval()


def in_their_names(model: WorldAgen) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """(model, MAE) tensors as the authors' two files hold them."""
    own = base_state(model)
    theirs, mae = {}, {}
    for name, shape in json.loads(SHAPES.read_text()).items():
        if name.startswith("vision_encoder."):
            plain = name.removeprefix("vision_encoder.")
            mae[plain] = own.get(f"vision.{plain}", torch.zeros(shape[:1]))
        elif (ours := reference.our_name(name)) in own:
            theirs[f"module.{name}"] = own[ours].reshape([1] * (len(shape) - own[ours].ndim) + list(own[ours].shape))
    return {**theirs, "module.attention_mask": torch.zeros(9, 9)}, mae


def test_the_authors_files_load(tmp_path: Path) -> None:
    model = reference_model()
    theirs, mae = in_their_names(model)
    torch.save({"epoch": 16, "model_state_dict": theirs, "optimizer_state_dict": {"state": {}}}, tmp_path / "16.pth")
    torch.save({"model": mae}, tmp_path / "mae.pth")
    loaded = WorldAgen.from_reference(tmp_path / "16.pth", tmp_path / "mae.pth", reference_config())
    assert checkpoint.fingerprint(loaded) == checkpoint.fingerprint(model)


def test_importing_writes_our_format(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = reference_model()
    theirs, mae = in_their_names(model)
    torch.save({"model_state_dict": theirs}, tmp_path / "38.pth")
    torch.save({"model": mae}, tmp_path / "mae.pth")
    monkeypatch.setattr(reference, "paper_config", lambda preset: reference_config())
    (folder,) = published.convert("libero", str(tmp_path / "38.pth"), str(tmp_path / "mae.pth"), tmp_path / "out")
    assert checkpoint.fingerprint(checkpoint.load(folder)) == checkpoint.fingerprint(model)
    assert checkpoint.describe(folder)["conventions"]["gripper"] == "+1 close, -1 open"


def test_published_files_come_from_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(published, "hf_hub_download", lambda repo, file: asked.append((repo, file)) or "missing.pth")
    with pytest.raises(CheckpointError, match=r"no checkpoint at missing\.pth"):
        published.convert("calvin", published.REPOSITORY, published.REPOSITORY, "unused")
    expected = ["calvin/scratch_qwen_16win_1img_5act/16.pth", "mae/mae_pretrain_vit_base.pth"]
    assert asked == [("MLL-Lab/worldagen", file) for file in expected]


def test_a_file_of_test_time_training_loads_with_its_adapter(tmp_path: Path) -> None:
    model = reference_model()
    theirs, mae = in_their_names(model)
    inputs = small_inputs(model)
    plain = model(**inputs).arm
    adapter.add(model, "a", rank=4, alpha=32.0)
    for parameter in adapter.parameters(model, "a"):
        torch.nn.init.normal_(parameter, std=0.1)
    adapted = model(**inputs).arm

    backbone = "module.transformer_backbone."
    wrapped = {
        name.replace(backbone, backbone + "base_model.model.").replace("_proj.", "_proj.base_layer."): tensor
        for name, tensor in theirs.items()
    }
    for name, tensor in adapter.state(model, "a").items():
        wrapped[f"{backbone}base_model.model.{name.replace('.weight', '.default.weight')}"] = tensor
    wrapped.update({f"module.vision_encoder.{name}": tensor for name, tensor in mae.items()})
    torch.save({"model": wrapped}, tmp_path / "ttt.pth")

    loaded = WorldAgen.from_reference(tmp_path / "ttt.pth", config=reference_config())
    assert torch.equal(loaded(**inputs).arm, plain)
    adapter.use(loaded, reference.TTT_ADAPTER)
    assert torch.equal(loaded(**inputs).arm, adapted)


def test_tensors_that_do_not_fit_are_all_named() -> None:
    theirs, mae = in_their_names(reference_model())
    del theirs["module.text_projector.bias"]
    theirs["module.obs_tokens"] = torch.zeros(1, 1, 18, 32)
    theirs["module.surprise"] = torch.zeros(2)
    with pytest.raises(CheckpointError) as caught:
        WorldAgen.from_reference(state_dict=theirs, mae_state_dict=mae, config=reference_config())
    for part in (
        "missing text_projector.bias (32,)",
        "unexpected surprise (2,)",
        "observation_queries has shape (18, 32)",
    ):
        assert part in str(caught.value)


def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self):
            return print, ("ran",)

    torch.save({"model": Bomb()}, tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match="more than tensors"):
        reference.read(tmp_path / "bomb.pth")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        reference.read(tmp_path / "missing.pth")
