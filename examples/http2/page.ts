/** Shows which protocol brought the page, and which its WebSocket. */
export const page = `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <title>WebSocket over HTTP/2</title>
  <p>This page came over <output id="page">…</output>, its WebSocket over <output id="socket">…</output>.</p>
  <script type="module">
    const show = (id, text) => (document.getElementById(id).value = text);
    show("page", performance.getEntriesByType("navigation")[0].nextHopProtocol);
    const socket = new WebSocket(new URL("/protocol", location.href.replace(/^http/, "ws")));
    socket.onmessage = ({ data }) => show("socket", data);
    socket.onclose = ({ code }) => show("socket", "nothing any more (" + code + ")");
  </script>
</html>
`;
