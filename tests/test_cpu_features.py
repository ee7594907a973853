import pytest

from medseg import cpu_features


def has(monkeypatch, text, limit=""):
    monkeypatch.setattr(cpu_features.Path, "read_text", lambda *_, **__: text)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    cpu_features._facts.cache_clear()


@pytest.fixture(autouse=True)
def _forget():
    yield
    cpu_features._facts.cache_clear()


XEON = "processor : 0\nmodel name : Xeon 8481C\nflags : fpu avx2 avx512f avx512_bf16 amx_bf16\n\nprocessor : 1\n"
HASWELL = "processor : 0\nmodel name : i7-4770\nflags : fpu sse4_2 avx2\n"
GRAVITON = "processor : 0\nFeatures : fp asimd bf16\n"


@pytest.mark.parametrize(
    ("text", "limit", "sets", "bfloat16"),
    [
        (XEON, "", ("avx2", "avx512f", "avx512_bf16", "amx_bf16"), True),
        (XEON, "AVX512_CORE", ("avx2", "avx512f"), False),
        (XEON, "avx2", ("avx2",), False),
        (HASWELL, "", ("avx2",), False),
        (GRAVITON, "", (), True),
        ("", "", (), False),
    ],
)
def test_what_a_cpu_computes_in_hardware(monkeypatch, text, limit, sets, bfloat16):
    has(monkeypatch, text, limit)
    assert cpu_features.instruction_sets() == sets
    assert cpu_features.has_bfloat16() is bfloat16


def test_the_name_of_the_cpu(monkeypatch):
    has(monkeypatch, XEON)
    assert cpu_features.cpu_model() == "Xeon 8481C"
