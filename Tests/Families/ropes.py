"""Random rotary embeddings in transformers 5's spelling (`rope_parameters`), stretched at a few tokens already."""

ORIGINAL = (12, 16, 24, 40)
FACTORS = (1.5, 2.0, 4.0, 8.0)
THETAS = (100.0, 500.0, 10000.0, 500000.0, 1000000.0)

# As often as not nothing is stretched.
ANY = ("default",) * 5 + ("linear", "dynamic", "yarn", "llama3", "longrope")


def head_size(config):
    return config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]


def rope(r, config, kinds=ANY, fractions=(None,)):
    """`rope_parameters`; sets the `max_position_embeddings` that go with them."""
    kind, fraction = r.choice(kinds), r.choice(fractions)
    found = dict(rope_type=kind, rope_theta=r.choice(THETAS))
    if fraction is not None:
        found["partial_rotary_factor"] = fraction
    config["max_position_embeddings"] = 256
    rotated = int(head_size(config) * (1 if fraction is None else fraction))
    SCALINGS[kind](r, config, found, rotated)
    return found


def default(r, config, found, rotated):
    pass


def linear(r, config, found, rotated):
    found["factor"] = r.choice(FACTORS)


def dynamic(r, config, found, rotated):
    found["factor"] = r.choice(FACTORS)
    config["max_position_embeddings"] = r.choice(ORIGINAL)


def yarn(r, config, found, rotated):
    found |= dict(factor=r.choice(FACTORS), original_max_position_embeddings=r.choice(ORIGINAL))
    if r.random() < 0.3:
        found |= dict(beta_fast=r.choice((4.0, 32.0)), beta_slow=r.choice((0.5, 1.0)))
    if r.random() < 0.2:
        found["attention_factor"] = r.choice((0.8, 1.3))
    elif r.random() < 0.3:
        found |= dict(mscale=r.choice((0.7, 1.0)), mscale_all_dim=r.choice((0.5, 1.0)))
    if r.random() < 0.3:
        found["truncate"] = False


def llama3(r, config, found, rotated):
    found |= dict(
        factor=r.choice(FACTORS), low_freq_factor=1.0, high_freq_factor=r.choice((2.0, 4.0)),
        original_max_position_embeddings=r.choice(ORIGINAL))


def longrope(r, config, found, rotated):
    found |= dict(
        short_factor=[round(r.uniform(1, 1.5), 3) for _ in range(rotated // 2)],
        long_factor=[round(r.uniform(1, 8), 3) for _ in range(rotated // 2)],
        original_max_position_embeddings=r.choice(ORIGINAL))
    if r.random() < 0.4:
        found["factor"] = r.choice(FACTORS)
    if r.random() < 0.2:
        found["attention_factor"] = r.choice((0.9, 1.2))


SCALINGS = dict(default=default, linear=linear, dynamic=dynamic, yarn=yarn, llama3=llama3, longrope=longrope)


def by_type(r, config, full=("default", "default", "linear", "yarn", "llama3"), sliding=("default",)):
    """One rope for each kind of layer."""
    found = dict(sliding_attention=rope(r, config, sliding), full_attention=rope(r, config, full))
    return found


def context(config):
    """The longest text that the model was made for: a dynamic rope stretches that by its factor."""
    rope = config.rope_parameters or {}
    stretched = rope.get("rope_type") == "dynamic" and not rope.get("alpha")
    return int(config.max_position_embeddings * rope["factor"]) if stretched else config.max_position_embeddings


def positions(config):
    """The lengths at which a rope changes: prompts should end around them."""
    rope = getattr(config, "rope_parameters", None) or {}
    tables = [value for value in rope.values() if isinstance(value, dict)] or [rope]
    found = [table["original_max_position_embeddings"] for table in tables if "original_max_position_embeddings" in table]
    if any(table.get("rope_type") == "dynamic" for table in tables):
        found.append(config.max_position_embeddings)
    return found
