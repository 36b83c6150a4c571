package sqlstore

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"parley/internal/store"
)

// nodeNameLimit is the longest name of a node in bytes, so that owner and name fit into one index entry.
const nodeNameLimit = 512

func isNodeName(name string) bool { return isKey(name) && len(name) <= nodeNameLimit }

// Node implements store.Nodes.
func (s *db) Node(ctx context.Context, owner, name string) (n store.Node, err error) {
	if !isKey(owner) || !isNodeName(name) {
		return n, store.ErrNotFound
	}
	err = s.use(ctx, "node", func() error {
		list, err := s.nodes(ctx, owner, []string{name})
		if err != nil {
			return err
		}
		if len(list) == 0 {
			return store.ErrNotFound
		}
		n = list[0].Node
		return nil
	})
	return n, err
}

// ListNodes implements store.Nodes.
func (s *db) ListNodes(ctx context.Context, owner string) (list []store.Node, err error) {
	if !isKey(owner) {
		return nil, nil
	}
	err = s.use(ctx, "list nodes", func() error {
		found, err := s.nodes(ctx, owner, nil)
		for _, n := range found {
			list = append(list, n.Node)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

// keyed is a node with its key.
type keyed struct {
	store.Node
	key int64
}

// nodes returns nodes of an account by name: those named, or all if names is nil.
func (s *db) nodes(ctx context.Context, owner string, names []string) ([]keyed, error) {
	text := `SELECT node, name, config, created, items FROM node WHERE owner = $1`
	args := []any{owner}
	if names != nil {
		text += ` AND name IN (` + placeholders(&args, names) + `)`
	}
	rows, err := s.reader.QueryContext(ctx, text+` ORDER BY name`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []keyed
	for rows.Next() {
		n := keyed{Node: store.Node{Owner: owner}}
		var created int64
		if err := rows.Scan(&n.key, &n.Name, &n.Config, &created, &n.Items); err != nil {
			return nil, err
		}
		n.Config, n.Created = blob(n.Config), fromMillis(created)
		list = append(list, n)
	}
	if err := rows.Err(); err != nil || len(list) == 0 {
		return nil, err
	}
	rows.Close()
	err = s.affiliations(ctx, list)
	if err == nil {
		err = s.peers(ctx, `SELECT node, addr, state FROM node_subscription`, list, func(n *keyed, addr, state string) {
			n.Subscriptions = append(n.Subscriptions, store.NodeSubscription{Addr: addr, State: state})
		})
	}
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (s *db) affiliations(ctx context.Context, list []keyed) error {
	return s.peers(ctx, `SELECT node, addr, name FROM node_affiliation`, list, func(n *keyed, addr, name string) {
		n.Affiliations = append(n.Affiliations, store.NodeAffiliation{Addr: addr, Name: name})
	})
}

// peers reads the rows (node, address, text) that hang on the nodes, by address.
func (s *db) peers(ctx context.Context, query string, list []keyed, add func(n *keyed, addr, text string)) error {
	at := make(map[int64]int, len(list))
	for i := range list {
		at[list[i].key] = i
	}
	for chunk := range slices.Chunk(list, rowsAtOnce) {
		var keys [][]any
		for _, n := range chunk {
			keys = append(keys, []any{n.key})
		}
		text, args := statement(query+` WHERE node IN (`, `?`, `) ORDER BY node, addr`, keys)
		rows, err := s.reader.QueryContext(ctx, text, args...)
		if err != nil {
			return err
		}
		for rows.Next() {
			var key int64
			var addr, text string
			if err := rows.Scan(&key, &addr, &text); err != nil {
				rows.Close()
				return err
			}
			add(&list[at[key]], addr, text)
		}
		if err := rows.Err(); err != nil {
			return err
		}
	}
	return nil
}

// placeholders adds the values to the arguments of a statement and returns their names there.
func placeholders(args *[]any, values []string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		*args = append(*args, v)
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(len(*args)))
	}
	return b.String()
}

// Items implements store.Nodes.
func (s *db) Items(ctx context.Context, owner, name string, q store.ItemQuery) (list []store.Item, more bool, err error) {
	if !isKey(owner) || !isNodeName(name) {
		return nil, false, store.ErrNotFound
	}
	err = s.use(ctx, "items", func() error {
		var key int64
		err := s.reader.QueryRowContext(ctx, `SELECT node FROM node WHERE owner = $1 AND name = $2`, owner, name).Scan(&key)
		if err == sql.ErrNoRows {
			return store.ErrNotFound
		}
		if err != nil {
			return err
		}
		list, more, err = s.items(ctx, key, q)
		return err
	})
	if err != nil {
		return nil, false, err
	}
	return list, more, nil
}

func (s *db) items(ctx context.Context, key int64, q store.ItemQuery) (list []store.Item, more bool, err error) {
	payload := `payload`
	if q.NoPayload {
		payload = `NULL`
	}
	text := `SELECT id, publisher, at, ` + payload + ` FROM node_item WHERE node = $1`
	args := []any{key}
	limit := max(q.Limit, 0)
	if q.IDs != nil {
		var ids []string
		for _, id := range q.IDs {
			if isKey(id) {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			return nil, false, nil
		}
		limit = len(ids)
		text += ` AND id IN (` + placeholders(&args, ids) + `)`
	} else {
		for _, edge := range []struct{ id, compare string }{{q.After, ` AND seq > $`}, {q.Before, ` AND seq < $`}} {
			if edge.id == "" {
				continue
			}
			var seq int64
			err := sql.ErrNoRows
			if isKey(edge.id) {
				err = s.reader.QueryRowContext(ctx, `SELECT seq FROM node_item WHERE node = $1 AND id = $2`, key, edge.id).Scan(&seq)
			}
			if err == sql.ErrNoRows {
				return nil, false, store.ErrNotFound
			}
			if err != nil {
				return nil, false, err
			}
			args = append(args, seq)
			text += edge.compare + strconv.Itoa(len(args))
		}
	}
	text += ` ORDER BY seq`
	if q.Latest {
		text += ` DESC`
	}
	args = append(args, limit+1)
	text += ` LIMIT $` + strconv.Itoa(len(args))
	rows, err := s.reader.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, false, err
	}
	defer rows.Close()
	size := 0
	for rows.Next() {
		if len(list) == limit || q.Bytes > 0 && size >= q.Bytes {
			more = true
			break
		}
		var i store.Item
		var at int64
		if err := rows.Scan(&i.ID, &i.Publisher, &at, &i.Payload); err != nil {
			return nil, false, err
		}
		i.At, i.Payload = fromMillis(at), blob(i.Payload)
		size += len(i.Payload)
		list = append(list, i)
	}
	if q.Latest {
		slices.Reverse(list)
	}
	return list, more, rows.Err()
}

// LastItems implements store.Nodes.
func (s *db) LastItems(ctx context.Context, owner string, names []string) (list []store.LastItem, err error) {
	if !isKey(owner) {
		return nil, nil
	}
	chunks := [][]string{nil}
	if names != nil {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !isNodeName(name) })
		chunks = slices.Collect(slices.Chunk(names, rowsAtOnce))
	}
	err = s.use(ctx, "last items", func() error {
		for _, chunk := range chunks {
			found, err := s.lastItems(ctx, owner, chunk)
			if err != nil {
				return err
			}
			list = append(list, found...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return list, nil
}

func (s *db) lastItems(ctx context.Context, owner string, names []string) (list []store.LastItem, err error) {
	args := []any{owner}
	named := ``
	if names != nil {
		named = ` AND n.name IN (` + placeholders(&args, names) + `)`
	}
	rows, err := s.reader.QueryContext(ctx, `
		SELECT n.node, n.name, n.config, n.created, n.items, i.id, i.publisher, i.at, i.payload,
			EXISTS (SELECT 1 FROM node_affiliation a WHERE a.node = n.node)
		FROM node n JOIN node_item i ON i.node = n.node AND i.seq = (SELECT MAX(seq) FROM node_item WHERE node = n.node)
		WHERE n.owner = $1`+named+` ORDER BY n.name`, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var nodes []keyed
	affiliated := false
	for rows.Next() {
		n := keyed{Node: store.Node{Owner: owner}}
		var l store.LastItem
		var created, at int64
		var has bool
		err := rows.Scan(&n.key, &n.Name, &n.Config, &created, &n.Items, &l.Item.ID, &l.Item.Publisher, &at, &l.Item.Payload, &has)
		if err != nil {
			return nil, err
		}
		n.Config, n.Created = blob(n.Config), fromMillis(created)
		l.Item.At, l.Item.Payload = fromMillis(at), blob(l.Item.Payload)
		affiliated = affiliated || has
		nodes, list = append(nodes, n), append(list, l)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	rows.Close()
	if affiliated {
		if err := s.affiliations(ctx, nodes); err != nil {
			return nil, err
		}
	}
	for i := range nodes {
		list[i].Node = nodes[i].Node
	}
	return list, nil
}
