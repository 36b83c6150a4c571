'use strict';

// The second member of a room in which somebody tries out the connection to the server: it answers with what it was offered.
function setupLoopback(wssUrl, roomId) {
  const socket = new WebSocket(wssUrl);
  socket.onopen = () => socket.send(JSON.stringify({cmd: 'register', roomid: roomId, clientid: 'LOOPBACK_CLIENT_ID'}));
  socket.onmessage = (e) => {
    let m;
    try {
      m = JSON.parse(JSON.parse(e.data).msg);
    } catch {
      return;
    }
    if (m.type === 'offer') {
      m.type = 'answer';
      m.sdp = m.sdp.replace(/^a=ice-options:.*\r\n/gm, '').replace(/a=setup:actpass/g, 'a=setup:passive');
    } else if (m.type !== 'candidate') {
      return;
    }
    socket.send(JSON.stringify({cmd: 'send', msg: JSON.stringify(m)}));
  };
}
