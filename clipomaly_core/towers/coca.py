"""The ViT of open_clip with attention pooling, as in CoCa (arXiv 2205.01917)."""

from dataclasses import dataclass

from open_clip.transformer import AttentionalPooler
from torch import Tensor
from torch.nn.functional import linear, normalize

from clipomaly_core.towers.vit import OpenClipTower, embed_patches, run_block


@dataclass(frozen=True, slots=True)
class CoCaViT(OpenClipTower):
    """An ``ImageTower``. Each place is the value that the pooling would take of it, see MaskCLIP (arXiv 2112.01071)."""

    @property
    def attentions(self) -> tuple[str, ...]:
        """None: the blocks stay as they are."""
        return ()

    def dense(self, images: Tensor, attention: str) -> Tensor:
        """See ``ImageTower``."""
        visual = self.visual
        grid = (images.shape[-2] // self.patch, images.shape[-1] // self.patch)
        tokens = embed_patches(visual, images)
        for block in visual.transformer.resblocks:
            tokens = run_block(block, tokens)
        pooled = visual.ln_post(pooled_values(visual.attn_pool, tokens[:, 1:]))
        return normalize((pooled @ visual.proj).float(), dim=-1).unflatten(1, grid)


def pooled_values(pool: AttentionalPooler, tokens: Tensor) -> Tensor:
    """What the pooling would give where all its attention is on one token: (B, N, D') → (B, N, D)."""
    attn = pool.attn
    weight = attn.v_proj_weight if attn.in_proj_weight is None else attn.in_proj_weight.chunk(3)[2]
    return attn.out_proj(linear(pool.ln_k(tokens), weight, attn.in_proj_bias.chunk(3)[2]))
