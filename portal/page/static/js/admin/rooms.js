// Rooms that are in use, and one of them with its members and what their media are like.
import { html } from '../ui/html.js';
import { Chart } from './chart.js';
import { ago, Asked, kbits, percent, Sure, Table, Wrong } from './parts.js';

const gates = { none: 'no call', closed: 'waiting for a second', p2p: 'direct', sfu: 'bridge', mcu: 'mixed' };

export class Rooms extends Asked {
	async ask(api) {
		const list = [];
		for (let after = ''; list.length < 5000;) {
			const part = await api.get(`/rooms?limit=500${after && `&after=${encodeURIComponent(after)}`}`);
			list.push(...part);
			if (part.length < 500) break;
			after = part.at(-1).room;
		}
		return { list };
	}

	render({ api, room, go }, { list, failed }) {
		if (room) return html`<${Room} key=${room} api=${api} room=${room} go=${go} />`;
		const people = list?.reduce((n, r) => n + r.members, 0) ?? 0;
		return html`<h2>Rooms</h2><${Wrong} of=${failed} />
			${list && html`<p class="hint" role="status">${list.length === 1 ? '1 room' : `${list.length} rooms`} in use, ${people} people in them.</p>
			<${Table} label="Rooms in use" none="Nobody is in any room." heads=${['Room', 'People', 'In the call', 'Media', 'Open for']} rows=${list.map((r) => ({ key: r.address, cells: [
				html`<a href=${`#rooms/${encodeURIComponent(r.room)}`}><bdi>${r.title || r.room}</bdi></a>${r.password ? html` <small>password</small>` : ''}${r.members_only ? html` <small>members only</small>` : ''}`,
				r.members, r.callers, html`<b class=${`gate ${r.gate}`}>${gates[r.gate]}</b>`, ago(r.created)] }))} />`}`;
	}
}

const kept = 150; // samples of two seconds

/** between is what went one way from one count to the next: bits a second, and the part that was lost. */
function between(now, before, seconds) {
	const [bytes, packets, lost] = ['bytes', 'packets', 'lost'].map((k) => now[k] - before[k]);
	if (bytes < 0 || seconds <= 0) return null; // it began anew
	return { rate: (bytes * 8) / seconds, loss: packets > 0 ? Math.min(1, Math.max(0, lost / packets)) : 0 };
}

/** Room asks for the members and their media at once. */
export class Room extends Asked {
	every = 2000;
	samples = [];

	async ask(api) {
		const at = `/rooms/${encodeURIComponent(this.props.room)}`;
		const [room, media] = await Promise.all([api.get(at), api.get(`${at}/media`).catch((e) => {
			if (e.status !== 404 && e.status !== 503) throw e; // no bridge at present
			return null;
		})]);
		const figures = new Map();
		if (media) {
			const time = new Date(media.at) / 1000;
			const seconds = this.before ? time - this.before.time : 0;
			for (const m of media.members) {
				const old = this.before?.of.get(m.nick);
				figures.set(m.nick, { ...m, from: old && between(m.in, old.in, seconds), to: old && between(m.out, old.out, seconds) });
			}
			this.before = { time, of: new Map(media.members.map((m) => [m.nick, m])) };
			if (seconds > 0) this.samples = [...this.samples, { time, figures }].slice(-kept);
		}
		return { room, figures };
	}

	#expel = (nick) => this.act(() => this.props.api.ask('POST', `/rooms/${encodeURIComponent(this.props.room)}/expel`, { nick, reason: 'by the administrator' }));

	#end = () => this.act(async () => {
		await this.props.api.ask('POST', `/rooms/${encodeURIComponent(this.props.room)}/end`, { reason: 'by the administrator' });
		this.props.go('rooms');
	});

	#data(names, pick) {
		return [this.samples.map((s) => s.time), ...names.map((n) => this.samples.map((s) => pick(s.figures.get(n)) ?? null))];
	}

	render({ room: name }, { room, figures, failed, wrong }) {
		const names = [...new Set(this.samples.flatMap((s) => [...s.figures.keys()]))].sort();
		const of = (m) => figures.get(m.nick);
		return html`<p><a class="back" href="#rooms">← All rooms</a></p>
			<h2><bdi>${room?.title || name}</bdi></h2>
			<${Wrong} of=${failed?.status === 404 ? { message: 'Nobody is in this room any more.' } : failed} /><${Wrong} of=${wrong} />
			${room && html`<dl class="facts">
				<div><dt>Address</dt><dd>${room.address}</dd></div><div><dt>Media</dt><dd class="gate-now"><b class=${`gate ${room.gate}`}>${gates[room.gate]}</b></dd></div>
				<div><dt>People</dt><dd>${room.members}, ${room.callers} in the call</dd></div><div><dt>Open for</dt><dd>${ago(room.created)}</dd></div></dl>
			<${Table} label="Members" none="Nobody." heads=${['Name', 'Door', 'Role', 'Here for', 'Sends', 'Gets', 'Lost', 'Round trip', 'Suffers at', '']} rows=${room.list.map((m) => ({ key: m.id, cells: [
				html`<bdi>${m.nick}</bdi>${m.guest ? html` <small>guest</small>` : ''}<small class="address">${m.address}</small>`, m.door, m.role, ago(m.joined),
				of(m)?.from ? kbits(of(m).from.rate) : '–', of(m)?.to ? kbits(of(m).to.rate) : '–',
				of(m)?.from && of(m)?.to ? html`↑ ${percent(of(m).from.loss)} ↓ ${percent(of(m).to.loss)}` : '–',
				of(m)?.rtt ? `${Math.round(of(m).rtt / 1000)} ms` : '–', of(m)?.trouble || '–',
				html`<${Sure} label=${`Throw ${m.nick} out`} do=${() => this.#expel(m.nick)}>Throw out<//>`] }))} />
			${names.length ? html`<div class="charts">
				<${Chart} title="Sent by members" unit="kbit/s" most=${100} names=${names} data=${this.#data(names, (f) => f?.from && f.from.rate / 1000)} />
				<${Chart} title="Sent to members" unit="kbit/s" most=${100} names=${names} data=${this.#data(names, (f) => f?.to && f.to.rate / 1000)} />
				<${Chart} title="Lost from members" unit="%" most=${5} names=${names} data=${this.#data(names, (f) => f?.from && f.from.loss * 100)} />
				<${Chart} title="Lost to members" unit="%" most=${5} names=${names} data=${this.#data(names, (f) => f?.to && f.to.loss * 100)} />
			</div>` : html`<p class="hint">No media of this room go through the server at present.</p>`}
			<p><${Sure} label="End this room for everybody" do=${this.#end}>End this room<//></p>`}`;
	}
}
