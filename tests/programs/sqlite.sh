#!/bin/bash
# sqlite3 creating and querying 100,000 rows, in both journal modes, with two processes.
set -eu
sqlite3 t.db <<'S'
create table t(id integer primary key, name text, v real);
begin;
with recursive c(x) as (select 1 union all select x + 1 from c where x < 100000) insert into t select x, 'name' || x, x * 0.5 from c;
commit;
create index i on t(name);
S
[ "$(sqlite3 t.db 'select count(*), sum(id) from t')" = "100000|5000050000" ]
[ "$(sqlite3 t.db "select v from t where name = 'name777'")" = "388.5" ]
[ "$(sqlite3 t.db 'pragma integrity_check')" = ok ]
[ "$(sqlite3 t.db 'pragma journal_mode=wal')" = wal ]
sqlite3 -cmd '.timeout 20000' t.db 'update t set v = v + 1 where id % 2 = 0' &
sqlite3 -cmd '.timeout 20000' t.db "insert into t(name) values('late')"
wait
[ "$(sqlite3 t.db 'select count(*) from t where v = id * 0.5 + 1')" = 50000 ]
[ "$(sqlite3 t.db 'select count(*) from t')" = 100001 ]
