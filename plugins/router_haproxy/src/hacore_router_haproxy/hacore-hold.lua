-- Written by hacore: changes of this file are undone.
-- A new connection waits here while its backend has no server that could take it, for at most so many seconds; then it is
-- handed on and refused as ever. It needs "tcp-request inspect-delay" to be longer than that.
core.register_action("hacore_hold", { "tcp-req" }, function(txn, backend, limit)
  local began = core.now()
  while txn.f:nbsrv(backend) == 0 do
    local now = core.now()
    if now.sec - began.sec + (now.usec - began.usec) / 1e6 >= tonumber(limit) then
      return
    end
    core.msleep(25)
  end
end, 2)
