package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"time"

	"github.com/lib/pq"
	"github.com/pressly/goose/v3"
)

const (
	dialTimeout   = 5 * time.Second
	frozenTimeout = 10 * time.Second // after which the server ends the transaction of a node that says nothing
	migrateFor    = time.Hour        // for the answer to a statement of a migration, which may rewrite a large table
	writers       = 4                // connections: one for the batches, the others for accounts and claims
)

func postgresSource(raw string, o Options) (source, error) {
	// The errors of url.Parse and pq show parts of the URL, and so of a password that is not escaped.
	u, err := url.Parse(raw)
	if err != nil {
		return source{}, errors.New("the postgres:// URL is not well-formed: are special characters in the password percent-encoded?")
	}
	config, err := pq.NewConfig(raw)
	if err != nil {
		return source{}, errors.New("PostgreSQL's driver refuses the postgres:// URL: does it have an unknown or malformed parameter?")
	}
	setDefaults(&config, u.Query())
	return source{
		dialect: &dialect{
			name:    "postgres",
			goose:   goose.DialectPostgres,
			lock:    " FOR UPDATE",
			clocked: true,
			fault:   postgresFault,
			explain: postgresExplain,
		},
		shown:   "database " + config.Database + " at " + config.Host,
		connect: func(r role) (*sql.DB, error) { return postgresConnect(config, r, o) },
		release: func() {},
	}, nil
}

// setDefaults sets what the URL does not say.
func setDefaults(config *pq.Config, said url.Values) {
	config.BinaryParameters = true // one round trip per statement instead of two, bytes as they are
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = dialTimeout
	}
	if !said.Has("application_name") {
		config.ApplicationName = "parley"
	}
	if !said.Has("target_session_attrs") {
		config.TargetSessionAttrs = pq.TargetSessionAttrsReadWrite // of several hosts, the one that takes writes
	}
	if config.Runtime == nil {
		config.Runtime = make(map[string]string)
	}
	for name, value := range map[string]string{
		"synchronous_commit":                  "on", // acknowledged is committed, whatever the server's default
		"idle_in_transaction_session_timeout": fmt.Sprint(frozenTimeout.Milliseconds()),
	} {
		if _, ok := config.Runtime[name]; !ok {
			config.Runtime[name] = value
		}
	}
}

func postgresConnect(config pq.Config, r role, o Options) (*sql.DB, error) {
	if _, ok := config.Runtime[bitmapScans]; r == reading && !ok {
		config.Runtime = maps.Clone(config.Runtime)
		config.Runtime[bitmapScans] = "off"
	}
	connector, err := pq.NewConnectorConfig(config)
	if err != nil {
		return nil, err
	}
	connections, answer := writers, 3*o.Patience
	switch r {
	case reading:
		connections = o.Readers
	case migrating:
		answer = migrateFor
	}
	connector.Dialer(dialer{answer})
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	return pool, nil
}

// bitmapScans is a parameter that is off where we read: what we read is a few rows in the order of an index. Where statistics are
// missing or misleading, PostgreSQL takes an archive of 100,000 messages for a small one, and reads and sorts all of it for a
// page.
const bitmapScans = "enable_bitmapscan"

// dialer makes connections that give up on a server of which no byte comes for a time: the driver itself would wait for
// ever.
type dialer struct{ answer time.Duration }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	return d.DialTimeout(network, address, dialTimeout)
}

func (d dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

func (d dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var nd net.Dialer
	c, err := nd.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &impatientConn{c, d.answer}, nil
}

// impatientConn bounds each read and write.
type impatientConn struct {
	net.Conn
	answer time.Duration
}

func (c *impatientConn) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.answer)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

func (c *impatientConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(c.answer)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// postgresFault goes by SQLSTATE (PostgreSQL's manual, appendix A).
func postgresFault(err error) fault {
	e := pq.As(err)
	if e == nil || len(e.Code) != 5 {
		return faultAway
	}
	switch e.Code {
	case "40001", "40P01": // serialization_failure, deadlock_detected
		return faultAgain
	}
	switch e.Code[:2] {
	case "22", "23", "54": // data exception, integrity constraint violation, program limit exceeded
		return faultData
	}
	return faultAway
}

func postgresExplain(err error) error {
	hint := ""
	if e := pq.As(err); e != nil {
		switch e.Code {
		case "3D000":
			hint = "create the database first"
		case "42501":
			hint = "the user needs the right to create and use tables: make it the owner of the database"
		case "53300":
			hint = "all connections are taken, raise max_connections"
		}
	} else if _, ok := errors.AsType[*net.OpError](err); ok {
		hint = "PostgreSQL does not answer, is it running?"
	}
	if hint == "" {
		return err
	}
	return fmt.Errorf("%s: %w", hint, err)
}
