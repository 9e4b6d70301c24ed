"""From the store to an HTTP receiver, by the sink `http`."""

from __future__ import annotations

import pytest

from parts.outgoing import Outgoing
from parts.receiver import Receiver
from signals_core import Secret
from signals_vector.sink import Http

DAY = 86_400


def received(receiver: Receiver) -> list[int]:
    return [metric["value"] for metric in receiver.metrics()]


def test_one_poisoned_metric(outgoing: Outgoing, receiver: Receiver) -> None:
    """Of 1 000 metrics one is answered with 400: 999 arrive, one is dead with the words."""
    receiver.reject("core.poison")
    outgoing.read(range(600))
    outgoing.read([600], name="core.poison")
    outgoing.read(range(601, 1000))
    outgoing.deliver(lake=Http(receiver.uri))
    assert received(receiver) == [value for value in range(1000) if value != 600]
    (reason,) = outgoing.dead().values()
    assert outgoing.dead().keys() == {600}
    assert "400 Bad Request" in reason and "no core.poison here" in reason


@pytest.mark.parametrize("status", [401, 404])
def test_refused_at_the_door_for_a_day(patient: Outgoing, receiver: Receiver, status: int) -> None:
    """Wrong credentials or a wrong address kill no metric; all arrives by itself once mended."""
    receiver.answer(status)
    patient.read(range(50))
    patient.deliver(lake=Http(receiver.uri))
    patient.clock.advance(DAY / 4)
    patient.read(range(50, 1500))
    patient.clock.advance(DAY * 3 / 4)
    assert not patient.dead()
    assert str(status) in (patient.store.outbox()[0].reason or "")
    receiver.forget()
    patient.clock.advance(60)
    assert received(receiver) == list(range(1500))


def test_everything_refused_by_its_content(patient: Outgoing, receiver: Receiver) -> None:
    """A receiver that answers 400 to everything for hours gets everything once it is mended."""
    receiver.answer(400, "no such tenant")
    patient.read(range(1500))
    patient.deliver(lake=Http(receiver.uri))
    patient.clock.advance(DAY / 8)
    assert not patient.dead()
    line = patient.store.outbox()[0]
    assert line.suspended_since is not None and "no such tenant" in (line.reason or "")
    receiver.forget()
    patient.clock.advance(60)
    assert sorted(received(receiver)) == list(range(1500))
    assert not patient.dead()


def test_a_rotated_password(outgoing: Outgoing, receiver: Receiver, tmp_path) -> None:
    """A password file that changes is taken up by the next try, without a restart."""
    file = tmp_path / "password"
    file.write_text("old")
    receiver.require(basic=("signals", "new"))
    outgoing.read(range(10))
    sink = Http(receiver.uri, username="signals", password=Secret(f"${{file:{file}}}"))
    outgoing.deliver(lake=sink)
    outgoing.clock.advance(3600)
    assert not received(receiver)
    file.write_text("new")
    outgoing.clock.advance(60)
    assert received(receiver) == list(range(10))


def test_a_busy_receiver(outgoing: Outgoing, receiver: Receiver) -> None:
    """`Retry-After` is obeyed to the second."""
    receiver.answer(429, headers={"Retry-After": "90"})
    outgoing.read([1])
    outgoing.deliver(lake=Http(receiver.uri))
    receiver.behave()
    outgoing.clock.advance(89)
    assert len(receiver.requests()) == 1
    outgoing.clock.advance(1)
    assert received(receiver) == [1]
