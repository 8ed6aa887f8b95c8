"""``clipomaly finetune`` as a person calls it."""

from tests.tasks.test_finetune import make_data


def test_it_prints_before_and_after_and_what_comes_next(clipomaly, tmp_path):
    data = make_data(tmp_path / "data", frames=2)
    ran = clipomaly("finetune", "--data", data, "--format", "camvid-like", "--out", tmp_path / "out", "--epochs", 1,
                    "--device", "cpu", "--set", "short_side=64")  # fmt: skip
    assert ran.code == 0, ran.err
    assert "before: held-out mIoU" in ran.err and "epoch 1: held-out mIoU" in ran.err
    assert f"--weights {tmp_path / 'out' / 'weights.safetensors'}" in ran.out
    assert "sky" in ran.out and "mean" in ran.out


def test_bad_input_is_one_line(clipomaly, tmp_path):
    ran = clipomaly("finetune", "--data", tmp_path, "--format", "cityscapes", "--out", tmp_path / "out")
    assert ran.code == 2
    assert ran.err.count("\n") == 1 and "holds no frames" in ran.err
    assert not (tmp_path / "out").exists()
