package peertest

import (
	"os"
	"strings"
	"testing"
)

func TestMain(m *testing.M) { os.Exit(Stopping(m).Run()) }

func TestPostgresGivesEachTestADatabase(t *testing.T) {
	s := Postgres(t)
	a, b := s.Database(t), s.Database(t)
	if a == b || !strings.HasPrefix(a, "postgres:///t") {
		t.Fatalf("databases %q and %q", a, b)
	}
	for _, database := range []string{a, b} {
		if out, err := s.run("psql", "-X", "-q", "-d", database, "-c", "CREATE TABLE t (x int)"); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

func TestPostgresComesBackAfterKill(t *testing.T) {
	s := OwnPostgres(t)
	database := s.Database(t)
	query := func(sql string) (string, error) { return s.run("psql", "-X", "-q", "-t", "-d", database, "-c", sql) }
	if out, err := query("CREATE TABLE t AS SELECT 42 AS x"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s.Kill(t)
	if _, err := query("SELECT 1"); err == nil {
		t.Fatal("the server answers after Kill")
	}
	s.Start(t)
	if out, err := query("SELECT x FROM t"); err != nil || strings.TrimSpace(out) != "42" {
		t.Fatalf("after recovery: %q %v", out, err)
	}
}

func TestPostgresIsGoneAfterItsTest(t *testing.T) {
	var s *PostgresServer
	t.Run("with a server", func(t *testing.T) { s = OwnPostgres(t) })
	if s == nil {
		t.Skip("no server")
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Errorf("the folder is still there: %v", err)
	}
	select {
	case <-s.exited:
	default:
		t.Error("the server still runs")
	}
}
