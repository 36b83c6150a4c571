package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"parley/internal/store"
)

// ChangeNodes implements store.Nodes.
func (s *db) ChangeNodes(ctx context.Context, quota store.NodeQuota, changes ...store.NodeChange) error {
	for i := range changes {
		if !isNodeChange(&changes[i]) {
			return store.ErrInvalid
		}
	}
	return s.use(ctx, "change nodes", func() error {
		return s.update(ctx, sql.LevelSerializable, func(tx *sql.Tx) error {
			now := millis(time.Now())
			owners := make(map[string]bool) // who is given something
			for i := range changes {
				c := nodeChange{NodeChange: &changes[i], ctx: ctx, tx: tx, now: now}
				if err := c.apply(); err != nil {
					return err
				}
				if c.adds() {
					owners[c.Owner] = true
				}
			}
			for owner := range owners {
				if err := withinQuota(ctx, tx, owner, quota); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

// nodeChange is a change on its way into a transaction.
type nodeChange struct {
	*store.NodeChange
	ctx context.Context
	tx  *sql.Tx
	now int64

	key, seq int64 // of the node, and of its latest item
}

func (c *nodeChange) apply() error {
	err := c.tx.QueryRowContext(c.ctx, `SELECT node, seq FROM node WHERE owner = $1 AND name = $2`, c.Owner, c.Name).Scan(&c.key, &c.seq)
	exists := err == nil
	switch {
	case err != nil && err != sql.ErrNoRows:
		return err
	case !exists && !c.Create:
		return store.ErrNotFound
	case exists && c.Create:
		return store.ErrExists
	case c.Delete:
		return c.exec(`DELETE FROM node WHERE node = $1`, c.key)
	case c.Create:
		err = c.create()
	case c.Configure:
		err = c.exec(`UPDATE node SET config = $2 WHERE node = $1`, c.key, blob(c.Config))
	default:
		err = nil
	}
	if err != nil {
		return err
	}
	if err := c.items(); err != nil {
		return err
	}
	return c.peers()
}

func (c *nodeChange) create() error {
	var one int
	err := c.tx.QueryRowContext(c.ctx, `SELECT 1 FROM account WHERE addr = $1`, c.Owner).Scan(&one)
	if err == sql.ErrNoRows {
		return store.ErrNotFound
	}
	if err != nil {
		return err
	}
	return c.tx.QueryRowContext(c.ctx, `INSERT INTO node (owner, name, config, created, seq, items, bytes)
		VALUES ($1, $2, $3, $4, 0, 0, 0) RETURNING node`, c.Owner, c.Name, blob(c.Config), c.now).Scan(&c.key)
}

// items removes, adds and counts items.
func (c *nodeChange) items() error {
	if !c.Purge && len(c.Retract)+len(c.Publish)+c.Keep == 0 {
		return nil
	}
	if c.Purge {
		if err := c.exec(`DELETE FROM node_item WHERE node = $1`, c.key); err != nil {
			return err
		}
	}
	for _, id := range c.Retract {
		if err := c.exec(`DELETE FROM node_item WHERE node = $1 AND id = $2`, c.key, id); err != nil {
			return err
		}
	}
	for _, i := range c.Publish {
		if err := c.exec(`DELETE FROM node_item WHERE node = $1 AND id = $2`, c.key, i.ID); err != nil {
			return err
		}
		c.seq++
		err := c.exec(`INSERT INTO node_item (node, seq, id, publisher, at, size, payload) VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			c.key, c.seq, i.ID, i.Publisher, millis(i.At), len(i.ID)+len(i.Payload), blob(i.Payload))
		if err != nil {
			return err
		}
	}
	if c.Keep > 0 {
		err := c.exec(`DELETE FROM node_item WHERE node = $1 AND seq <=
			(SELECT seq FROM node_item WHERE node = $1 ORDER BY seq DESC LIMIT 1 OFFSET $2)`, c.key, c.Keep)
		if err != nil {
			return err
		}
	}
	return c.exec(`UPDATE node SET seq = $2,
		items = (SELECT COUNT(*) FROM node_item WHERE node = $1),
		bytes = (SELECT COALESCE(SUM(size), 0) FROM node_item WHERE node = $1) WHERE node = $1`, c.key, c.seq)
}

// peers changes affiliations and subscriptions.
func (c *nodeChange) peers() error {
	for _, a := range c.Affiliations {
		err := c.exec(`DELETE FROM node_affiliation WHERE node = $1 AND addr = $2`, c.key, a.Addr)
		if err == nil && a.Name != "none" {
			err = c.exec(`INSERT INTO node_affiliation (node, addr, name) VALUES ($1, $2, $3)`, c.key, a.Addr, a.Name)
		}
		if err != nil {
			return err
		}
	}
	for _, sub := range c.Subscriptions {
		err := c.exec(`DELETE FROM node_subscription WHERE node = $1 AND addr = $2`, c.key, sub.Addr)
		if err == nil && sub.State != "none" {
			err = c.exec(`INSERT INTO node_subscription (node, addr, state) VALUES ($1, $2, $3)`, c.key, sub.Addr, sub.State)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *nodeChange) exec(text string, args ...any) error {
	_, err := c.tx.ExecContext(c.ctx, text, args...)
	return err
}

// adds reports that the change may have made its owner hold more.
func (c *nodeChange) adds() bool {
	return !c.Delete && (c.Create || c.Configure || len(c.Publish)+len(c.Affiliations)+len(c.Subscriptions) > 0)
}

func withinQuota(ctx context.Context, tx *sql.Tx, owner string, q store.NodeQuota) error {
	var nodes, items, bytes, peers int
	err := tx.QueryRowContext(ctx, `SELECT COUNT(*), COALESCE(SUM(items), 0), COALESCE(SUM(bytes + COALESCE(LENGTH(config), 0)), 0)
		FROM node WHERE owner = $1`, owner).Scan(&nodes, &items, &bytes)
	if err == nil && q.Peers > 0 {
		err = tx.QueryRowContext(ctx, `SELECT
			(SELECT COUNT(*) FROM node_affiliation a JOIN node n ON n.node = a.node WHERE n.owner = $1) +
			(SELECT COUNT(*) FROM node_subscription s JOIN node n ON n.node = s.node WHERE n.owner = $1)`, owner).Scan(&peers)
	}
	if err != nil {
		return err
	}
	for _, v := range [][2]int{{nodes, q.Nodes}, {items, q.Items}, {bytes, q.Bytes}, {peers, q.Peers}} {
		if v[1] > 0 && v[0] > v[1] {
			return store.ErrQuota
		}
	}
	return nil
}

// isNodeChange reports that a change can be stored.
func isNodeChange(c *store.NodeChange) bool {
	if !isKey(c.Owner) || !isNodeName(c.Name) {
		return false
	}
	for _, id := range c.Retract {
		if !isKey(id) {
			return false
		}
	}
	for _, i := range c.Publish {
		if !isKey(i.ID) || !isText(i.Publisher) {
			return false
		}
	}
	for _, a := range c.Affiliations {
		if !isKey(a.Addr) || !isKey(a.Name) {
			return false
		}
	}
	for _, s := range c.Subscriptions {
		if !isKey(s.Addr) || !isKey(s.State) {
			return false
		}
	}
	return true
}
