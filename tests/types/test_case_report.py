from medseg.types.case_report import CaseReport, combined
from medseg.types.quality import Flag
from medseg.types.run import ClassVolume, Volumes


def test_warnings_count_once_with_their_largest_weight_and_notes_count_nothing() -> None:
    volumes = Volumes((ClassVolume("liver", 10, 0.01, 2), ClassVolume("fat", 0, 0.0)))
    total = combined(
        [
            CaseReport((Flag("odd spacing"), Flag("tilted")), ("read as stored",), voxels=10),
            CaseReport((Flag("odd spacing", 2.0),), ("read as stored", "tilted", "mirrored"), uncertainty=0.317),
            CaseReport(volumes=volumes),
        ]
    )
    assert total.warnings == (Flag("odd spacing", 2.0), Flag("tilted", 1.0))
    assert total.notes == ("read as stored", "mirrored"), "what is a warning is no note"
    assert total.review_priority == 3.32
    assert (total.volumes, total.voxels) == (volumes, 10)
    assert combined([]) == CaseReport()
    assert CaseReport(uncertainty=1.0).review_priority == 1.0


def test_volumes_survive_the_trip_to_json_and_back() -> None:
    volumes = Volumes((ClassVolume("liver", 10, 0.01, 2), ClassVolume("fat", 0, 0.0)))
    content = volumes.to_json()
    assert content["liver"] == {"voxels": 10, "volume_ml": 0.01, "objects": 2}
    assert "objects" not in content["fat"]
    assert Volumes.from_json(content) == volumes
