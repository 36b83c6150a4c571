'use strict';

// A client of AppRTC's room server and of Collider: the page of a room. What it was loaded with stands in loadingParams.
(() => {
  const p = loadingParams;
  const $ = (id) => document.getElementById(id);
  const say = (text) => { $('status').textContent = text; };

  let place;        // what /join has answered
  let socket;
  let stream;       // of this user
  let servers = []; // STUN and TURN
  let pc;
  let calls;        // this side offers
  let queue = [];   // candidates that came before the description
  let order = Promise.resolve(); // what the other says is done one after the other

  async function post(path, body) {
    const r = await fetch(path, {method: 'POST', body});
    if (!r.ok) throw new Error(`The server has answered ${r.status}.`);
    return r;
  }

  async function iceServers(url) {
    if (!url) return [];
    const r = await fetch(url, {method: 'POST'});
    if (!r.ok) return [];
    let list = (await r.json()).iceServers;
    if (p.iceServerTransports) {
      list = list.map((s) => ({...s, urls: s.urls.filter((u) => u.includes('transport=' + p.iceServerTransports))})).filter((s) => s.urls.length);
    }
    return list;
  }

  // Who has called says everything by the room server, which keeps it until there is somebody; the other by its socket.
  function send(message) {
    const text = JSON.stringify(message);
    if (calls) {
      order = order.then(() => post(`/message/${place.room_id}/${place.client_id}${location.search}`, text)).catch((e) => say(e.message));
    } else if (socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify({cmd: 'send', msg: text}));
    } else { // it is connecting again
      post(`${place.wss_post_url}/${place.room_id}/${place.client_id}`, text).catch((e) => say(e.message));
    }
  }

  function connect() {
    pc?.close();
    queue = [];
    const own = pc = new RTCPeerConnection({...p.peerConnectionConfig, iceServers: servers});
    stream?.getTracks().forEach((track) => own.addTrack(track, stream));
    own.onicecandidate = (e) => {
      if (own === pc && e.candidate?.candidate) {
        send({type: 'candidate', label: e.candidate.sdpMLineIndex, id: e.candidate.sdpMid, candidate: e.candidate.candidate});
      }
    };
    own.ontrack = (e) => { $('remote-video').srcObject = e.streams[0]; };
    own.oniceconnectionstatechange = () => {
      if (own === pc) say({checking: 'Connecting …', connected: '', completed: '', disconnected: 'The connection is interrupted.', failed: 'The connection has failed.'}[own.iceConnectionState] ?? '');
    };
  }

  async function call() {
    calls = true;
    connect();
    say('Waiting for somebody to join …');
    await pc.setLocalDescription(await pc.createOffer({offerToReceiveAudio: true, offerToReceiveVideo: true}));
    send({type: 'offer', sdp: pc.localDescription.sdp});
  }

  async function described() {
    for (const c of queue) await pc.addIceCandidate(c);
    queue = [];
  }

  async function hear(text) {
    const m = JSON.parse(text);
    if (m.type === 'offer' && !calls) {
      await pc.setRemoteDescription(m);
      await pc.setLocalDescription();
      send({type: 'answer', sdp: pc.localDescription.sdp});
      await described();
    } else if (m.type === 'answer' && calls && pc.signalingState === 'have-local-offer') {
      await pc.setRemoteDescription(m);
      await described();
    } else if (m.type === 'candidate') {
      const c = {candidate: m.candidate, sdpMid: m.id, sdpMLineIndex: m.label};
      if (pc.remoteDescription) await pc.addIceCandidate(c).catch(() => {}); // one of an earlier description
      else queue.push(c);
    } else if (m.type === 'bye') {
      $('remote-video').srcObject = null;
      await call(); // for who comes next
    }
  }

  function listen() {
    return new Promise((resolve, reject) => {
      socket = new WebSocket(place.wss_url);
      socket.onopen = () => {
        socket.send(JSON.stringify({cmd: 'register', roomid: place.room_id, clientid: place.client_id}));
        resolve();
      };
      socket.onerror = () => reject(new Error('The connection to the server has failed.'));
      socket.onmessage = (e) => {
        const m = JSON.parse(e.data);
        if (m.error) say(m.error);
        else order = order.then(() => hear(m.msg)).catch((err) => say(err.message));
      };
      socket.onclose = () => { if (place) setTimeout(() => { if (place) listen().catch((e) => say(e.message)); }, 1000); };
    });
  }

  async function join() {
    const r = await (await post(`/join/${p.roomId}${location.search}`)).json();
    if (r.result === 'FULL') {
      location.assign(`/r/${p.roomId}${location.search}`);
      return;
    }
    if (r.result !== 'SUCCESS') throw new Error('You cannot join this room.');
    place = r.params;
    servers = await iceServers(place.ice_server_url).catch(() => []);
    calls = place.is_initiator === 'true';
    if (!calls) connect();
    // What the other has said so far comes before what it says from now on; the answer to it needs the socket.
    const listening = listen();
    order = listening.then(async () => { for (const text of place.messages) await hear(text); }).catch((e) => say(e.message));
    await listening;
    if (p.isLoopback) setupLoopback(place.wss_url, place.room_id);
    if (calls) await call();
  }

  function leave() {
    if (!place) return;
    const {room_id: room, client_id: client} = place;
    place = undefined;
    pc?.close();
    stream?.getTracks().forEach((t) => t.stop());
    $('remote-video').srcObject = $('local-video').srcObject = null;
    say('You have left.');
    return post(`/leave/${room}/${client}`).catch(() => {}).then(() => {
      if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({cmd: 'send', msg: JSON.stringify({type: 'bye'})}));
      socket.close();
      return fetch(`${p.wssPostUrl}/${room}/${client}`, {method: 'DELETE'});
    });
  }

  function mute(kind, button) {
    const muted = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', muted);
    stream?.getTracks().filter((t) => t.kind === kind).forEach((t) => { t.enabled = !muted; });
  }

  async function begin() {
    try {
      const want = p.mediaConstraints;
      if (want.audio || want.video) {
        stream = await navigator.mediaDevices.getUserMedia(modern(want)).catch((e) => { say('Without camera and microphone: ' + e.message); });
        $('local-video').srcObject = stream ?? null;
      }
      await join();
    } catch (e) {
      say(e.message);
    }
  }

  // The parameters have constraints as they once were.
  function modern(want) {
    const one = (c) => {
      if (typeof c !== 'object') return c;
      const out = {};
      const put = (key, value, how) => {
        const m = /^(min|max)(Width|Height|FrameRate|AspectRatio)$/.exec(key);
        if (m) (out[m[2][0].toLowerCase() + m[2].slice(1)] ??= {})[how === 'must' ? m[1] : 'ideal'] = Number(value);
        else if (!key.startsWith('goog')) out[key] = value;
      };
      for (const [key, value] of Object.entries(c.mandatory ?? {})) put(key, value, 'must');
      for (const o of c.optional ?? []) for (const [key, value] of Object.entries(o)) put(key, value, 'may');
      return Object.keys(out).length ? out : true;
    };
    return {audio: one(want.audio), video: one(want.video)};
  }

  $('hangup').onclick = leave;
  $('mute-audio').onclick = (e) => mute('audio', e.target);
  $('mute-video').onclick = (e) => mute('video', e.target);
  addEventListener('pagehide', () => {
    if (place) navigator.sendBeacon(`/bye/${place.room_id}/${place.client_id}`);
  });
  if (p.bypassJoinConfirmation) {
    begin();
  } else {
    $('join').hidden = false;
    $('join').onclick = () => { $('join').hidden = true; begin(); };
  }
})();
