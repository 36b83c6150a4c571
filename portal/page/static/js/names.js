// Names and texts that others have written, made fit to be shown, and names of rooms. Everything shown goes into text
// nodes; this file only keeps text from pretending to be something else.

// Characters that change the direction of what follows, that nobody sees, or that stand for markup in other systems.
const invisible = /[\p{Cc}\p{Cf}\p{Co}\u2028\u2029\u115f\u1160\u3164\uffa0\u034f\u17b4\u17b5]/gu;

/** The longest display name that is shown, in characters. */
export const longestName = 48;

/**
 * displayName is somebody's name as it is shown: one line, nothing invisible, no more than two marks on a letter. A name
 * of which nothing is left is replaced.
 */
export function displayName(name, instead = 'Guest') {
	const clean = [...String(name ?? '').toWellFormed().normalize('NFC')
		.replace(/[\s\p{Z}]+/gu, ' ')
		.replace(invisible, '')
		.replace(/(\p{M}{2})\p{M}+/gu, '$1')
		.replace(/^\p{M}+/u, '')
		.trim()];
	return clean.slice(0, longestName).join('').trim() || instead;
}

/** The longest message that is shown whole, in characters. */
export const longestMessage = 4000;

/** messageText is a chat message as it is shown: lines stay; overrides of direction and control characters go. */
export function messageText(body) {
	const clean = [...String(body ?? '').toWellFormed().replace(/\r\n?/g, '\n')
		.replace(/[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g, '')
		.replace(/[^\P{Cc}\n\t]/gu, '')];
	return clean.length > longestMessage ? clean.slice(0, longestMessage).join('') + '…' : clean.join('');
}

/** initials are one or two letters for the round picture of a member. */
export function initials(name) {
	const words = displayName(name).split(/[\s._-]+/).filter((w) => /[\p{L}\p{N}]/u.test(w));
	const first = (w) => [...w.replace(/^[^\p{L}\p{N}]+/u, '')][0] ?? '';
	const letters = words.length > 1 ? first(words[0]) + first(words.at(-1)) : first(words[0] ?? '');
	return letters.toLocaleUpperCase() || '·';
}

/** hue is a colour of its own for each member, in degrees. */
export function hue(id) {
	let h = 0;
	for (const c of String(id)) h = (h * 31 + c.codePointAt(0)) % 360;
	return h;
}

const alphabet = 'abcdefghjkmnpqrstvwxyz0123456789'; // 32 letters that are hard to mix up

/** randomRoom is a name that nobody guesses: 65 random bits in 13 letters. */
export function randomRoom(random = crypto.getRandomValues(new Uint8Array(13))) {
	const s = [...random].map((b) => alphabet[b % 32]).join('');
	return `${s.slice(0, 4)}-${s.slice(4, 8)}-${s.slice(8)}`;
}

/**
 * roomName makes what somebody typed, or the path of a link, the local part of a room's address: lower case, without the
 * characters that RFC 7622 §3.3.1 forbids there. Of a whole link, the last part of its path counts.
 */
export function roomName(typed) {
	let s = String(typed ?? '').trim();
	if (/^https?:\/\//i.test(s)) {
		try {
			s = decodeURIComponent(new URL(s).pathname.split('/').filter(Boolean).at(-1) ?? '');
		} catch {
			return '';
		}
	}
	s = s.toWellFormed().normalize('NFKC').toLowerCase().replace(invisible, '');
	return [...s.replace(/[\s"&'/:<>@\\?#%]+/g, '-').replace(/^[-.]+|[-.]+$/g, '')].slice(0, 128).join('');
}
