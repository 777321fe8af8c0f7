"""What compare.py measures dora beside, as data: a peer is a row here and a script that times it.

RUN MODEL [ADAPTER] PROMPT_TOKENS NEW_TOKENS BATCH THREADS, run by the peer's Python, prints one line of JSON: `prefill`
and `decode` in tokens/s, `about` the program, and under `more` what else it measured, by the label of its row.
"""

from typing import NamedTuple

# prompt or context, sequences
SHORT, LONG = ((16, 1), (16, 8)), ((512, 1), (2048, 1), (7000, 1))


class Pair(NamedTuple):
    ours: str
    theirs: str
    label: str


class Peer(NamedTuple):
    needs: str  # what its Python must be able to run; else the peer is left out
    run: str
    pairs: tuple
    points: tuple = SHORT + LONG
    adapter: bool = False


class Written(NamedTuple):
    """A model that SCRIPT SOURCE FORM OUT writes, run by the Python of the peer."""
    script: str
    source: str
    peer: str
    suffix: str = ""


# Any other format is one of random_model.py.
FORMATS = {
    "Q8_0": Written("write_gguf.py", "int8", "llama", ".gguf"),
    "Q4_0": Written("write_gguf.py", "int8", "llama", ".gguf"),
    "Q4_K_M": Written("requantize_gguf.py", "Q8_0", "llama", ".gguf"),
    "Q8_0_R8": Written("ik_llama_quantize.py", "Q8_0", "ik", ".gguf"),
    "Q8_KV_R8": Written("ik_llama_quantize.py", "Q8_0", "ik", ".gguf"),
    "w8a8": Written("write_w8a8.py", "int8", "vllm"),
    "ov-int8": Written("write_openvino.py", "int8", "openvino"),
    "ov-int4": Written("write_openvino.py", "int8", "openvino"),
}
# By the name that --KEY-python and --peers have.
PEERS = {
    "llama": Peer("import llama_cpp", "llama_cpp_run.py", (
        Pair("int8", "Q8_0", "llama.cpp Q8_0"), Pair("nf4-double", "Q4_0", "llama.cpp Q4_0"),
        # One and the same file for both.
        Pair("Q8_0", "Q8_0", "llama.cpp Q8_0"), Pair("Q4_0", "Q4_0", "llama.cpp Q4_0"),
        Pair("Q4_K_M", "Q4_K_M", "llama.cpp Q4_K_M"))),
    # Its sources, built: ik_llama_run.py.
    "ik": Peer("import os; os.environ['IK_LLAMA']", "ik_llama_run.py", (
        Pair("int8", "Q8_0_R8", "ik_llama.cpp Q8_0_R8"), Pair("int8", "Q8_KV_R8", "ik_llama.cpp Q8_KV_R8"),
        Pair("nf4-double", "Q4_K_M", "ik_llama.cpp Q4_K_M"))),
    # bfloat16 beside LLM.int8: the base, the adapter unmerged and merged, and the merge itself.
    "torch": Peer("import peft", "torch_run.py", (Pair("int8", "int8", "transformers bf16"),), ((512, 1),), adapter=True),
    # The same codes in both, activations of 8 bits in both.
    "vllm": Peer("import vllm", "vllm_run.py", (Pair("int8", "w8a8", "vLLM W8A8"),), SHORT + LONG[:2]),
    "openvino": Peer("import openvino_genai", "openvino_run.py", (
        Pair("int8", "ov-int8", "OpenVINO int8"), Pair("nf4-double", "ov-int4", "OpenVINO int4"))),
}
