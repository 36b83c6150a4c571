package sqlstore

import (
	"context"
	"database/sql"
	"math"
	"time"

	"parley/internal/store"
)

// forgetICE is how long after its end a registration is removed.
const forgetICE = 24 * time.Hour

const iceColumns = `ip, bundle_policy, policy, turn_port, stun_port, max_bandwidth, username, credential, rx_rate, tx_rate, expires`

// KeepICE implements store.ICEServers. What has ended long ago goes with it.
func (s *db) KeepICE(ctx context.Context, one store.ICEServer) error {
	for _, text := range []string{one.Bundle, one.Policy, one.Username, one.Credential} {
		if !isText(text) {
			return store.ErrInvalid
		}
	}
	for _, n := range []int{one.TurnPort, one.StunPort, one.Most, one.Rx, one.Tx} {
		if n < 0 || n > math.MaxInt32 {
			return store.ErrInvalid
		}
	}
	if one.IP == "" || !isHost(one.IP) || one.Expires.IsZero() {
		return store.ErrInvalid
	}
	return s.use(ctx, "keep ICE server", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			if _, err := tx.ExecContext(ctx, `DELETE FROM rtc_ice_servers WHERE expires < $1`, millis(one.Expires.Add(-forgetICE))); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO rtc_ice_servers (`+iceColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
				ON CONFLICT (ip) DO UPDATE SET bundle_policy = excluded.bundle_policy, policy = excluded.policy, turn_port = excluded.turn_port,
				stun_port = excluded.stun_port, max_bandwidth = excluded.max_bandwidth, username = excluded.username, credential = excluded.credential,
				rx_rate = excluded.rx_rate, tx_rate = excluded.tx_rate, expires = excluded.expires`,
				one.IP, one.Bundle, one.Policy, one.TurnPort, one.StunPort, one.Most, one.Username, one.Credential, one.Rx, one.Tx, millis(one.Expires))
			return err
		})
	})
}

// ReportICE implements store.ICEServers.
func (s *db) ReportICE(ctx context.Context, ip string, rx, tx int, now, expires time.Time) error {
	if ip == "" || !isHost(ip) {
		return store.ErrNotFound
	}
	if rx < 0 || rx > math.MaxInt32 || tx < 0 || tx > math.MaxInt32 {
		return store.ErrInvalid
	}
	return s.use(ctx, "report of ICE server", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(t *sql.Tx) error {
			r, err := t.ExecContext(ctx, `UPDATE rtc_ice_servers SET rx_rate = $2, tx_rate = $3, expires = $5 WHERE ip = $1 AND expires > $4`, ip, rx, tx, millis(now), millis(expires))
			return affected(r, err, store.ErrNotFound)
		})
	})
}

// DropICE implements store.ICEServers.
func (s *db) DropICE(ctx context.Context, ip string) error {
	if ip == "" || !isHost(ip) {
		return store.ErrNotFound
	}
	return s.use(ctx, "drop ICE server", func() error {
		return s.update(ctx, sql.LevelReadCommitted, func(tx *sql.Tx) error {
			r, err := tx.ExecContext(ctx, `DELETE FROM rtc_ice_servers WHERE ip = $1`, ip)
			return affected(r, err, store.ErrNotFound)
		})
	})
}

// ListICE implements store.ICEServers.
func (s *db) ListICE(ctx context.Context, now time.Time) (list []store.ICEServer, err error) {
	err = s.use(ctx, "ICE servers", func() (err error) {
		list, err = all(ctx, s.reader, func(rows *sql.Rows) (one store.ICEServer, err error) {
			var expires int64
			err = rows.Scan(&one.IP, &one.Bundle, &one.Policy, &one.TurnPort, &one.StunPort, &one.Most, &one.Username, &one.Credential, &one.Rx, &one.Tx, &expires)
			one.Expires = fromMillis(expires)
			return one, err
		}, `SELECT `+iceColumns+` FROM rtc_ice_servers WHERE expires > $1 ORDER BY ip`, millis(now))
		return err
	})
	return list, err
}
