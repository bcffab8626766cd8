"""WorldAgen: one backbone, two readers. The policy predicts the next actions, the world model the next observation.

Every observation of the window becomes a chunk of tokens: instruction, robot state, executed actions, both camera
images, then learned queries that the world model (what will the cameras see after these actions?) and the policy (which
actions come next?) read out. Who sees what is decided by the attention mask alone (mask.py).

Adapters (adapter.py) touch the backbone only, so the features of a frame are computed once, whatever adapter is in use:
`forward` is `encode_frames` followed by `decode`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from worldagen.config import ModelConfig
from worldagen.config.checks import check_model
from worldagen.models.backbone import make_backbone, run
from worldagen.models.conventions import OWN
from worldagen.models.heads import ImageDecoder, PoseEmbedding, PoseHead
from worldagen.models.inputs import check_decode, check_frames
from worldagen.models.mask import attention_mask, seen_by
from worldagen.models.resampler import Resampler
from worldagen.models.text import TEXT_WIDTH, ClipText, WordEmbedding
from worldagen.models.tokens import CAMERAS, Layout
from worldagen.models.vision import VisionTransformer


@dataclass(frozen=True)
class Output:
    """What the model predicts for each of K chunks."""

    arm: torch.Tensor
    """(B, K, a, 6) in (-1, 1)."""
    gripper: torch.Tensor
    """(B, K, a, 1): probability of open."""
    image: torch.Tensor | None
    """(B * K, 2, patches, patch * patch * 3): next frame of both cameras, in patches of normalised pixels."""
    next_arm: torch.Tensor | None = None
    """(B, K, 6): next arm state, with `predict_state` only."""
    next_gripper: torch.Tensor | None = None
    """(B, K, 1): probability that the gripper is then commanded open."""


class WorldAgen(nn.Module):
    """The model of `config`, freshly initialised. Raises ConfigError for sizes that do not fit each other."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        check_model(config)
        self.config = config
        self.conventions = OWN
        """Signs and units of its inputs and outputs; forward and decode take them as they are."""
        self.layout = layout_of(config)
        self.running: tuple[str, ...] = ()
        """Groups of the tokens that the backbone is given: adapters may act on some of them only."""
        hidden, width = config.hidden, config.vision_width

        self.vision = VisionTransformer(
            config.image_size, config.patch_size, width, config.vision_depth, config.vision_heads
        )
        self.resampler = Resampler(
            width,
            config.resampler_queries,
            config.resampler_depth,
            config.resampler_heads,
            config.resampler_head_dim,
        )
        self.primary_projector, self.wrist_projector = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.primary_cls_projector, self.wrist_cls_projector = nn.Linear(width, hidden), nn.Linear(width, hidden)
        self.text_projector = nn.Linear(TEXT_WIDTH, hidden)
        self.state_embedding = PoseEmbedding(hidden)
        self.action_embedding = PoseEmbedding(hidden)

        self.observation_queries = nn.Parameter(torch.zeros(CAMERAS * config.observation_queries, hidden))
        self.policy_query = nn.Parameter(torch.zeros(1, hidden))
        self.state_query = nn.Parameter(torch.zeros(1, hidden)) if config.predict_state else None
        self.offset = nn.Parameter(torch.randn(hidden) * 0.02)
        self.input_norm = nn.LayerNorm(hidden)
        self.backbone = make_backbone(config)

        self.action_head = PoseHead(hidden)
        self.state_head = PoseHead(hidden) if config.predict_state or config.unused_parameters else None
        side, values = config.image_size // config.patch_size, config.patch_size**2 * 3
        self.image_decoder = ImageDecoder(
            hidden, config.observation_queries, side, values, config.decoder_depth, config.decoder_heads
        )
        self.apply(_initialise)
        self.mask = nn.Buffer(attention_mask(self.layout, config.mask), persistent=False)

        # After initialisation: the word table keeps torch's own, CLIP is frozen and no part of the weights.
        self.words = WordEmbedding() if config.text == "words" else None
        self._clip = ClipText() if config.text == "clip" else None
        self.vision.requires_grad_(not config.vision_frozen)

    @classmethod
    def from_reference(
        cls,
        checkpoint: str | Path = "",
        mae_checkpoint: str | Path = "",
        config: ModelConfig | None = None,
        *,
        state_dict: Mapping[str, torch.Tensor] | None = None,
        mae_state_dict: Mapping[str, torch.Tensor] | None = None,
        chunks: int | None = None,
        actions_per_chunk: int | None = None,
        layers: int | None = None,
        mask: str | None = None,
    ) -> "WorldAgen":
        """The authors' weights, from their `.pth` files or from plain dicts of their tensors.

        `config` defaults to the published CALVIN model with mask `compat`; the sizes named here change it.
        Raises CheckpointError listing every tensor that is missing, unexpected or mis-shaped.
        """
        from worldagen.models import reference  # it builds a WorldAgen, so it cannot be imported above

        given: dict[str, Any] = {
            "chunks": chunks,
            "actions_per_chunk": actions_per_chunk,
            "layers": layers,
            "mask": mask,
        }
        config = replace(config or reference.paper_config(), **{k: v for k, v in given.items() if v is not None})
        if mae_state_dict is None and mae_checkpoint:
            mae_state_dict = reference.read(mae_checkpoint)
        return reference.load(reference.read(checkpoint) if state_dict is None else state_dict, mae_state_dict, config)

    def forward(
        self,
        image_primary: torch.Tensor,
        image_wrist: torch.Tensor,
        state: torch.Tensor,
        text_embedding: torch.Tensor,
        action: torch.Tensor,
        predict_image: bool = True,
    ) -> Output:
        """Frames (B, K, 3, H, W) of both cameras, normalised (pixels.normalise); the rest as in `decode`."""
        features = self.encode_frames(image_primary.flatten(0, 1), image_wrist.flatten(0, 1))
        features = features.unflatten(0, image_primary.shape[:2])
        return self.decode(features, state, text_embedding, action, predict_image)

    def encode_frames(self, image_primary: torch.Tensor, image_wrist: torch.Tensor) -> torch.Tensor:
        """Normalised images (N, 3, H, W) of both cameras -> features (N, F, hidden), independent of any adapter.

        Raises ValueError for another image size or values that are not finite.
        """
        return self.compress(self.see(image_primary, image_wrist))

    def see(self, image_primary: torch.Tensor, image_wrist: torch.Tensor) -> torch.Tensor:
        """First half of `encode_frames`: the vision transformer's tokens (N, 2, 1 + patches, vision_width)."""
        check_frames(self.config, image_primary, image_wrist)
        return torch.stack(self.vision(torch.cat([image_primary, image_wrist])).chunk(2), dim=1)

    def compress(self, seen: torch.Tensor) -> torch.Tensor:
        """Second half of `encode_frames`, always trained: (N, 2, 1 + patches, vision_width) -> (N, F, hidden)."""
        primary, wrist = seen.unbind(1)
        latents_primary, latents_wrist = self.resampler(torch.cat([primary[:, 1:], wrist[:, 1:]])).chunk(2)
        return torch.cat(
            [
                self.primary_projector(latents_primary),
                self.wrist_projector(latents_wrist),
                self.primary_cls_projector(primary[:, 0])[:, None],
                self.wrist_cls_projector(wrist[:, 0])[:, None],
            ],
            dim=1,
        )

    def encode_text(self, sentences: Sequence[str]) -> torch.Tensor:
        """Sentences -> (B, 512). CLIP features are computed once per sentence."""
        if self.words is not None:
            return self.words(sentences)
        assert self._clip is not None
        return self._clip(sentences).to(self.offset.device)

    def decode(
        self,
        features: torch.Tensor,
        state: torch.Tensor,
        text_embedding: torch.Tensor,
        action: torch.Tensor,
        predict_image: bool = True,
    ) -> Output:
        """From a window's features (B, K, F, hidden) to its predictions.

        state (B, K, 7), text_embedding (B, K, 512), action (B, K * a, 7); gripper values count as open iff >= 1.
        Without `predict_image` the world-model queries and the image decoder are left out; the actions stay the same.
        Raises ValueError for other shapes and for values that are not finite.
        """
        wanted = ("observation", "next_state", "policy") if predict_image else ("policy",)
        read = self._read(wanted, features, state, text_embedding, action)
        arm, gripper = self.action_head(read["policy"])
        next_arm = next_gripper = None
        if self.state_head is not None and "next_state" in read:
            next_arm, next_gripper = self.state_head(read["next_state"][:, :, 0])
        image = self._image(read["observation"]) if predict_image else None
        return Output(arm, gripper, image, next_arm, next_gripper)

    def imagine(
        self, features: torch.Tensor, state: torch.Tensor, text_embedding: torch.Tensor, action: torch.Tensor
    ) -> torch.Tensor:
        """The predicted images of `decode` alone, for less: all that test-time training needs."""
        return self._image(self._read(("observation",), features, state, text_embedding, action)["observation"])

    def _read(
        self,
        wanted: Sequence[str],
        features: torch.Tensor,
        state: torch.Tensor,
        text_embedding: torch.Tensor,
        action: torch.Tensor,
    ) -> dict[str, torch.Tensor]:
        """Backbone outputs (B, K, n, hidden) of each prediction group in `wanted`, and of all that these depend on.

        The rest is left out of the sequence, which changes nothing but the time; positions stay those of the whole.
        """
        check_decode(self.layout, features, state, text_embedding, action)
        seen = seen_by(wanted, self.config.mask)
        tokens = {
            group: token
            for group, token in self._tokens(features, state, text_embedding, action).items()
            if group in seen
        }
        self.running = tuple(tokens)
        rows = self.layout.positions(self.running).to(features.device)
        x = self.input_norm(torch.cat(list(tokens.values()), dim=2) + self.offset).flatten(1, 2)
        x = run(self.backbone, x, self.mask[rows][:, rows], rows).unflatten(1, (features.shape[1], -1))
        return dict(zip(tokens, x.split([token.shape[2] for token in tokens.values()], dim=2), strict=True))

    def _tokens(
        self, features: torch.Tensor, state: torch.Tensor, text_embedding: torch.Tensor, action: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Tokens (B, K, n, hidden) of every group, in sequence order."""
        batch, chunks = features.shape[:2]
        queries = {
            "observation": self.observation_queries,
            "next_state": self.state_query,
            "policy": self.policy_query.expand(self.layout.actions, -1),
        }
        # Linear layers get contiguous inputs only: for others torch chooses the kernel by whether the weight is frozen,
        # and freezing the base for an adapter would change the last bits of its outputs.
        return {
            "text": self.text_projector(text_embedding.contiguous())[:, :, None],
            "state": self.state_embedding(state)[:, :, None],
            "action": self.action_embedding(action).unflatten(1, (chunks, -1)),
            "image": features[:, :, :-CAMERAS],
            "cls": features[:, :, -CAMERAS:],
            **{group: q.expand(batch, chunks, -1, -1) for group, q in queries.items() if q is not None},
        }

    def _image(self, queries: torch.Tensor) -> torch.Tensor:
        """(B, K, 2 * queries, hidden) -> (B * K, 2, patches, values)."""
        frames = queries.flatten(0, 1).unflatten(1, (CAMERAS, -1))
        return self.image_decoder(frames.flatten(0, 1)).unflatten(0, (-1, CAMERAS))


def layout_of(config: ModelConfig) -> Layout:
    """The token layout of a model of `config`."""
    return Layout(
        chunks=config.chunks,
        actions=config.actions_per_chunk,
        queries=config.resampler_queries,
        observation_queries=config.observation_queries,
        predict_state=config.predict_state,
    )


def _initialise(module: nn.Module) -> None:
    """Published initialisation: Xavier-uniform linear layers, zero biases (torch's LayerNorm default is the same)."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
