from medseg.engine import doctor


def test_what_is_there_but_cannot_be_imported_is_not_called_ok(monkeypatch):
    """As `mlflow ui`, whose module comes with mlflow-skinny and cannot be imported without flask."""
    offered = {
        "fine": ("json, logging.handlers", "logging", "logs"),
        "broken": ("json, no_such_module", "nothing", "none"),
    }
    monkeypatch.setattr(doctor, "OPTIONAL", offered)
    fine, broken = doctor._packages()
    assert (fine.verdict, fine.fix) == ("ok", "")
    assert broken.verdict == "missing"
    assert "No module named 'no_such_module'" in broken.detail
    assert broken.fix == "pip install none"
