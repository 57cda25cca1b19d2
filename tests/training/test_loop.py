"""Facts about the training loop: it learns, it can be stopped anywhere, it keeps the best."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning_fabric")

from tests.training.conftest import ToyFilms  # noqa: E402
from vertebrometer.config import read_settings  # noqa: E402
from vertebrometer.errors import SettingsError, WeightsError  # noqa: E402
from vertebrometer.networks import NetworkConfig, build_network  # noqa: E402
from vertebrometer.training import (  # noqa: E402
    BEST,
    LAST,
    MaskLoss,
    MaskScore,
    PointLoss,
    PointScore,
    TrainingDivergedError,
    TrainingSettings,
    draw_masks,
    draw_points,
    fit,
    fixed_batches,
    load_network,
    loop,
)
from vertebrometer.training.loop import learning_rate_at  # noqa: E402

pytestmark = pytest.mark.torch

TINY = NetworkConfig(name="unet", width=4, depth=2, dropout=0.2)


def settings_for(out, **more):
    plain = {"network": TINY, "epochs": 2, "steps_per_epoch": 3, "batch_size": 2, "accelerator": "cpu"}
    return TrainingSettings(out=out, **(plain | more))


def train(source, settings, **more):
    torch.manual_seed(0)
    return fit(build_network(settings.network), source, loss_of=MaskLoss(), settings=settings, **more)


def weights_of(path):
    state = torch.load(path, weights_only=True)
    return state["averaged"] or state["network"]


class PowerCutError(Exception):
    pass


class PowerCut:
    """The same samples, until the power goes."""

    def __init__(self, source, after):
        self.source, self.left = source, after

    def sample(self, rng):
        self.left -= 1
        if self.left < 0:
            raise PowerCutError
        return self.source.sample(rng)


@pytest.mark.parametrize("steps_before_the_cut", [2, 3, 4])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_run_that_was_cut_off_ends_as_if_it_had_not_been(
    tmp_path, toy_films, steps_before_the_cut, ema_decay
):
    straight = settings_for(tmp_path / "straight", ema_decay=ema_decay)
    train(toy_films(), straight)
    cut = settings_for(tmp_path / "cut", ema_decay=ema_decay, checkpoint_seconds=0.0)
    with pytest.raises(PowerCutError):
        train(PowerCut(toy_films(), 2 * steps_before_the_cut), cut)
    ended = train(toy_films(), cut, resume=cut.out / LAST)
    assert (ended.steps, ended.finished) == (6, True)
    one, other = weights_of(straight.out / LAST), weights_of(cut.out / LAST)
    assert all(torch.equal(one[name], other[name]) for name in one)
    rows = [row.split(",")[:1] for row in (cut.out / "log.csv").read_text().splitlines()]
    assert rows == [["step"], ["3"], ["6"]]


@pytest.mark.slow
def test_what_is_frozen_keeps_its_weights_and_statistics_while_the_rest_learns(toy_films, tmp_path):
    settings = settings_for(tmp_path, frozen=("body.down",), ema_decay=0.5)
    torch.manual_seed(0)
    before = build_network(TINY).state_dict()
    after = weights_of(train(toy_films(), settings).last)
    kept = {name for name in before if torch.equal(before[name], after[name])}
    down = {name for name in before if name.startswith("body.down.")}
    assert down
    assert down <= kept
    assert not {name for name in kept - down if name.endswith("weight")}


def test_a_part_that_is_not_there_cannot_be_frozen(toy_films, tmp_path):
    with pytest.raises(SettingsError, match=r"'body\.dwon'.*body\.down"):
        train(toy_films(), settings_for(tmp_path, frozen=("body.dwon",)))


def test_a_run_killed_outright_can_be_resumed(tmp_path):
    program = (
        "import sys; from pathlib import Path; from tests.training.conftest import ToyFilms; "
        "from tests.training.test_loop import settings_for, train; "
        "train(ToyFilms(), settings_for(Path(sys.argv[1]), epochs=10**6, checkpoint_seconds=0.0))"
    )
    out = tmp_path / "run"
    project = Path(__file__).parents[2]
    child = subprocess.Popen([sys.executable, "-c", program, str(out)], cwd=project)
    try:
        until = time.monotonic() + 60
        while not (out / LAST).exists() and time.monotonic() < until:
            time.sleep(0.05)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    done = torch.load(out / LAST, weights_only=True)["progress"]["step"]
    onwards = settings_for(out, epochs=done // 3 + 2)
    assert train(ToyFilms(), onwards, resume=out / LAST).steps == onwards.total_steps


def test_a_network_learns_to_outline_a_body(tmp_path, toy_films):
    films = fixed_batches(toy_films(), samples=8, batch_size=8, seed=77)
    settings = settings_for(
        tmp_path, steps_per_epoch=50, batch_size=8, learning_rate=5e-3, schedule="cosine", ema_decay=0.9
    )
    ended = train(toy_films(), settings, validate=MaskScore(films), draw=draw_masks)
    assert ended.best_score > 0.8
    assert {"log.csv", "run.json", "overlays", LAST, BEST} <= {path.name for path in tmp_path.iterdir()}
    assert len(list((tmp_path / "overlays").glob("*.png"))) == 2
    network, facts = load_network(ended.best)
    with torch.no_grad():
        assert MaskScore(films)(network)["score"] == pytest.approx(ended.best_score)
    assert facts["metrics"]["score"] == pytest.approx(ended.best_score)


def test_the_point_network_trains_in_bfloat16_too(tmp_path, toy_films, monkeypatch):
    # Slow on a CPU that only imitates it, but then too it is bfloat16 that is tried.
    monkeypatch.setattr(loop, "bfloat16_is_emulated", lambda: False)
    config = NetworkConfig(name="points", width=4, depth=2, stem_stride=2)
    settings = settings_for(tmp_path, network=config, steps_per_epoch=8, batch_size=4, precision="bf16-mixed")
    crops = toy_films(with_points=True)
    films = fixed_batches(crops, samples=4, batch_size=4, seed=7)
    network = build_network(config)
    ended = fit(
        network, crops, loss_of=PointLoss(), settings=settings, validate=PointScore(films), draw=draw_points
    )
    assert ended.steps == 16
    assert "train_heat_loss" in (tmp_path / "log.csv").read_text()


@pytest.mark.parametrize(("emulated", "kind"), [(True, torch.float32), (False, torch.bfloat16)])
def test_bfloat16_is_used_only_where_the_cpu_has_it(tmp_path, toy_films, monkeypatch, caplog, emulated, kind):
    monkeypatch.setattr(loop, "bfloat16_is_emulated", lambda: emulated)
    config = NetworkConfig(name="points", width=4, depth=2, stem_stride=2)
    network, kinds = build_network(config), set()
    convolution = next(layer for layer in network.modules() if isinstance(layer, torch.nn.Conv2d))
    convolution.register_forward_hook(lambda *told: kinds.add(told[2].dtype) if network.training else None)
    settings = settings_for(tmp_path, network=config, steps_per_epoch=2, batch_size=2, precision="bf16-mixed")
    crops = toy_films(with_points=True)
    score = PointScore(fixed_batches(crops, samples=2, batch_size=2, seed=7))
    fit(network, crops, loss_of=PointLoss(), settings=settings, validate=score, draw=draw_points)
    assert kinds == {kind}
    assert ("training in float32" in caplog.text) is emulated


@pytest.mark.parametrize("imitated", [True, False])
def test_imitated_bfloat16_is_told_by_its_time(monkeypatch, imitated):
    real = torch.nn.functional.conv2d

    def timed(images, kernel, **how):
        # Slow enough that what else the machine does cannot decide.
        time.sleep(0.2 if imitated and images.dtype is torch.bfloat16 else 0.02)
        return real(images.float()[:1, :1], kernel.float()[:1, :1], **how)

    monkeypatch.setattr(torch.nn.functional, "conv2d", timed)
    assert loop.bfloat16_is_emulated() is imitated


def test_the_best_checkpoint_is_that_of_the_best_score(tmp_path, toy_films):
    scores = iter([0.3, 0.9, 0.5])
    ended = train(toy_films(), settings_for(tmp_path, epochs=3), validate=lambda _: {"score": next(scores)})
    assert ended.best_score == 0.9
    assert load_network(tmp_path / BEST)[1]["metrics"] == {"score": 0.9}


def test_a_time_budget_ends_a_run_with_a_checkpoint(tmp_path, toy_films):
    ended = train(toy_films(), settings_for(tmp_path, epochs=10**6, max_minutes=0.005))
    assert ended.finished
    assert 0 < ended.steps < 10**6
    assert (tmp_path / BEST).exists()


def test_a_polite_kill_leaves_a_checkpoint(tmp_path, toy_films):
    class KilledAt:
        left = 5

        def sample(self, rng):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            return toy_films().sample(rng)

    ended = train(KilledAt(), settings_for(tmp_path))
    assert (ended.finished, ended.steps) == (False, 3)
    assert train(toy_films(), settings_for(tmp_path), resume=ended.last).finished


def test_a_folder_with_a_run_is_not_overwritten(tmp_path, toy_films):
    train(toy_films(), settings_for(tmp_path, epochs=1))
    with pytest.raises(SettingsError, match="holds a run already"):
        train(toy_films(), settings_for(tmp_path))


def test_a_loss_that_is_no_number_stops_the_run_and_spares_the_checkpoint(tmp_path, toy_films):
    def broken(outputs, batch):
        losses = MaskLoss()(outputs, batch)
        return {"loss": losses["loss"] * (float("nan") if (tmp_path / LAST).exists() else 1.0)}

    torch.manual_seed(0)
    with pytest.raises(TrainingDivergedError, match="step 4"):
        fit(build_network(TINY), toy_films(), loss_of=broken, settings=settings_for(tmp_path))
    assert all(torch.isfinite(value).all() for value in weights_of(tmp_path / LAST).values())


def test_checkpoints_that_do_not_fit_say_so(tmp_path, toy_films):
    train(toy_films(), settings_for(tmp_path, epochs=1))
    other = settings_for(tmp_path, network=NetworkConfig(name="unet", width=6, depth=2))
    with pytest.raises(WeightsError, match="another network"):
        train(toy_films(), other, resume=tmp_path / LAST)
    with pytest.raises(WeightsError, match="weights only"):
        train(toy_films(), settings_for(tmp_path), resume=tmp_path / BEST)
    (tmp_path / LAST).write_bytes(b"PK no zip")
    with pytest.raises(WeightsError, match="cannot be read"):
        load_network(tmp_path / LAST)
    with pytest.raises(WeightsError, match="no checkpoint"):
        load_network(tmp_path / "none.pt")


def test_a_cosine_warms_up_and_ends_low(tmp_path):
    settings = settings_for(tmp_path, schedule="cosine", warmup_steps=9, learning_rate=0.1, final_rate=0.01)
    assert learning_rate_at(settings, 0, 0.0) == pytest.approx(0.01)
    assert learning_rate_at(settings, 20, 0.5) == pytest.approx(0.1 * (0.01 + 0.99 / 2))
    assert learning_rate_at(settings, 99, 1.0) == pytest.approx(0.001)


def test_settings_are_read_from_toml_and_kept_with_the_run(tmp_path, toy_films):
    text = (
        'out = "{}"\nepochs = 1\nsteps_per_epoch = 1\nbatch_size = 1\naccelerator = "cpu"\n'
        '[network]\nname = "r2unet"\nwidth = 2\ndepth = 1\n'
    )
    (tmp_path / "run.toml").write_text(text.format((tmp_path / "run").as_posix()))
    settings = read_settings(tmp_path / "run.toml", TrainingSettings)
    train(toy_films(), settings)
    facts = json.loads((settings.out / "run.json").read_text())
    assert facts["settings"]["network"]["name"] == "r2unet"
    assert facts["parameters"] > 0


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"workers": -1}, {"ema_decay": 1.0}, {"max_minutes": 0.0}])
def test_impossible_runs_are_refused(tmp_path, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        settings_for(tmp_path, **wrong)
