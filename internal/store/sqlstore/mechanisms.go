package sqlstore

import "context"

// CommonMechanisms implements store.Mechanisms. An account has at most one credential for each mechanism.
func (s *db) CommonMechanisms(ctx context.Context) (names []string, accounts bool, err error) {
	err = s.use(ctx, "common mechanisms", func() error {
		names, accounts = nil, false
		rows, err := s.reader.QueryContext(ctx, `
			SELECT mechanism, COUNT(*), (SELECT COUNT(DISTINCT addr) FROM credential) FROM credential GROUP BY mechanism ORDER BY mechanism`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			var have, all int64
			if err := rows.Scan(&name, &have, &all); err != nil {
				return err
			}
			if accounts = true; have == all {
				names = append(names, name)
			}
		}
		return rows.Err()
	})
	return names, accounts, err
}
