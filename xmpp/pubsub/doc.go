// Package pubsub makes every account a personal publish-subscribe service (XEP-0163): the nodes that its bare address
// stands for, as far as XEP-0060 is needed for that, the events about them, and what is built on them: bookmarks (XEP-0402,
// with XEP-0048 and XEP-0411 for old clients), avatars (XEP-0084, with XEP-0153 and XEP-0398) and vCards (XEP-0292 and
// XEP-0054).
//
// A node's items are kept by the store before a request is answered. Whatever needs the store runs in the owner's own
// goroutine (Accounts.Do), so that events about an account's nodes leave in the order of the changes. Who wants events is
// read from entity capabilities (XEP-0115): a client is asked once for what a verification string stands for, by whoever
// of the accounts sees it first, and what it answers is believed of others only if it matches the string.
//
// Payloads are kept as the bytes that were published; only namespace declarations of the elements around them are added
// to their first tag.
//
// Not here: a service on a domain of its own, collections (XEP-0248), subscription options and identifiers, and approval
// of subscriptions by message (§8.6): with the access model "authorize" the owner changes the subscription's state (§8.8.2).
package pubsub
