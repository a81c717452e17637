"""The history checker judges rightly."""

from hacore.model.lsn import Lsn
from hacore.testing.verdict import Attempt, HistoryReport


def attempt(node: str, seq: int, sent_at: float, *, session: int = 1, acknowledged: bool = True) -> Attempt:
    return Attempt(
        node=node,
        session=session,
        writer=f"w-{node}",
        seq=seq,
        sent_at=sent_at,
        ended_at=sent_at + 0.5,
        acknowledged=acknowledged,
        lsn=Lsn(seq * 100) if acknowledged else None,
    )


def everything(*attempts: Attempt) -> frozenset[tuple[str, int]]:
    return frozenset(one.row for one in attempts)


def test_two_sessions_that_commit_in_turns_on_two_nodes_are_two_writers() -> None:
    attempts = [attempt("a", 1, 1), attempt("b", 1, 2), attempt("a", 2, 3), attempt("b", 2, 4)]
    report = HistoryReport.of(attempts, everything(*attempts))
    assert [overlap.nodes for overlap in report.overlaps] == [("a", "b")]
    assert (report.overlaps[0].begin, report.overlaps[0].end) == (2.5, 3)
    assert report.problems()


def test_a_lone_commit_within_the_session_of_another_node_is_a_second_writer() -> None:
    attempts = [attempt("a", 1, 1), attempt("b", 1, 2), attempt("a", 2, 3)]
    assert HistoryReport.of(attempts, everything(*attempts)).overlaps


def test_a_lone_commit_that_may_have_happened_after_the_other_node_stopped_proves_nothing() -> None:
    attempts = [attempt("a", 1, 1), attempt("a", 2, 2), attempt("b", 1, 1.8)]
    assert not HistoryReport.of(attempts, everything(*attempts)).overlaps


def test_a_switchover_and_back_is_no_overlap_because_the_sessions_ended() -> None:
    attempts = [attempt("a", 1, 1), attempt("a", 2, 2), attempt("b", 1, 3), attempt("b", 2, 4), attempt("a", 3, 5, session=2)]
    report = HistoryReport.of([*attempts, attempt("a", 4, 6, session=2)], everything(*attempts, attempt("a", 4, 6)))
    assert report.problems() == []
    assert [span.node for span in report.spans] == ["a", "b", "a"]


def test_rows_that_are_gone_are_losses_with_their_size_in_wal() -> None:
    attempts = [attempt("a", seq, seq) for seq in range(1, 6)]
    report = HistoryReport.of(attempts, everything(*attempts[:3]))
    (loss,) = report.lost
    assert (loss.rows, loss.wal_bytes, loss.first_at, loss.last_at) == (2, 200, 4.5, 5.5)
    assert report.lost_rows == 2


def test_a_row_without_an_answer_is_unknown_and_never_lost() -> None:
    attempts = [attempt("a", 1, 1), attempt("a", 2, 2, acknowledged=False), attempt("a", 3, 3, acknowledged=False)]
    report = HistoryReport.of(attempts, everything(attempts[0], attempts[1]))
    assert (report.acknowledged, report.unknown, report.unknown_kept, report.lost_rows) == (1, 2, 1, 0)


def test_a_database_that_nobody_could_read_is_a_problem_and_not_a_loss() -> None:
    report = HistoryReport.of([attempt("a", 1, 1)], None)
    assert report.lost == ()
    assert len(report.problems()) == 1


def test_the_gap_is_the_longest_one_that_ends_after_the_event() -> None:
    attempts = [attempt("a", 1, 1), attempt("a", 2, 11), attempt("a", 3, 12), attempt("b", 4, 15), attempt("b", 5, 16)]
    report = HistoryReport.of(attempts, everything(*attempts))
    assert report.gap_ms(11.7) == 3000
    assert report.gap_ms(16.6) is None
    assert report.gap_ms(5) == 10000


def test_acknowledgements_are_found_by_node_and_time() -> None:
    attempts = [attempt("a", 1, 1), attempt("a", 2, 2), attempt("b", 1, 4)]
    report = HistoryReport.of(attempts, everything(*attempts))
    assert report.last_ack("a") == 2.5
    assert report.last_ack("a", before=2.4) == 1.5
    assert report.last_ack("c") is None
    assert report.acks_between("a", 1.5, 9) == 1
    assert report.first_ack_after(2.5) == ("b", 4.5)
    assert report.first_ack_after(0, but="a") == ("b", 4.5)
    assert report.first_ack_after(9) is None
