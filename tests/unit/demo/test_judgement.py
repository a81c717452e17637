from hacore.demo.judgement import Crash, allowed_wal_bytes, judge
from hacore.model.lsn import Lsn
from hacore.testing.verdict import Attempt, HistoryReport

CRASH = Crash(node="a", since=10.0, at=20.0, allowed_wal_bytes=1000)


def commit(at: float, lsn: int, *, node: str = "a", session: int = 1) -> Attempt:
    return Attempt(
        node=node, session=session, writer=node, seq=round(at * 10), sent_at=at - 0.01, ended_at=at, acknowledged=True, lsn=Lsn(lsn)
    )


def report(*attempts: Attempt, lost: tuple[Attempt, ...] = ()) -> HistoryReport:
    return HistoryReport.of([*attempts, *lost], frozenset(attempt.row for attempt in attempts))


def test_a_run_without_a_loss_is_good() -> None:
    assert judge(report(commit(11, 100), commit(12, 200)), [CRASH]).is_good


def test_the_last_rows_of_a_killed_node_may_be_lost_within_the_bound() -> None:
    found = judge(report(commit(11, 100), lost=(commit(19.9, 1100),)), [CRASH])
    assert found.is_good
    assert found.lost_wal_bytes == 1000
    assert found.allowed_wal_bytes == 1000


def test_one_byte_beyond_the_bound_is_a_problem_that_says_bytes_of_wal() -> None:
    found = judge(report(commit(11, 100), lost=(commit(19.9, 1101),)), [CRASH])
    assert found.problems == ("a was killed: 1001 bytes of WAL are lost, want at most 1000",)


def test_rows_that_were_acknowledged_before_the_step_before_may_not_be_lost() -> None:
    assert not judge(report(commit(8, 100), commit(11, 300), lost=(commit(9, 200),)), [CRASH]).is_good


def test_rows_of_another_node_may_not_be_lost() -> None:
    assert not judge(report(commit(11, 100, node="b"), lost=(commit(19.9, 200, node="b"),)), [CRASH]).is_good


def test_nothing_may_be_lost_where_nobody_was_killed() -> None:
    assert not judge(report(commit(11, 100), lost=(commit(12, 101),)), []).is_good


def test_two_writers_are_never_good() -> None:
    both = report(commit(11, 100), commit(13, 200), commit(12, 100, node="b"), commit(14, 200, node="b"))
    assert not judge(both, [CRASH]).is_good


def test_a_loss_of_unknown_size_is_a_problem() -> None:
    unknown = Attempt(node="a", session=1, writer="a", seq=1, sent_at=18.0, ended_at=19.0, acknowledged=True)
    assert judge(report(lost=(unknown,)), [CRASH]).problems == ("a was killed: how much WAL is lost is not known",)


def test_rows_that_nobody_could_read_are_a_problem() -> None:
    assert not judge(HistoryReport.of([commit(11, 100)], None), [CRASH]).is_good


def test_what_failed_besides_is_among_the_problems() -> None:
    assert judge(None, [], ["it burns"]).problems == ("it burns",)
    assert not judge(None, []).is_good


def test_the_bound_is_the_lag_limit_and_the_wal_of_the_last_ttl() -> None:
    attempts = [commit(14, 100), commit(15, 150), commit(16, 400), commit(19, 900), commit(19, 5000, node="b")]
    assert allowed_wal_bytes(attempts, "a", 20.0, ttl_s=5, lag_limit_bytes=10) == 10 + 900 - 100


def test_a_node_that_wrote_nothing_lately_may_lose_the_lag_limit() -> None:
    assert allowed_wal_bytes([commit(3, 100)], "a", 20.0, ttl_s=5, lag_limit_bytes=10) == 10
