"""A client for WebSockets over HTTP/2 that shares no code with ours: h2 for the streams, wsproto for the frames.

    http2_client.py PORT    prints what it has received, as a JSON object per line
"""
import json
import socket
import ssl
import sys

import h2.config
import h2.connection
import h2.events
import h2.settings
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

AUTHORITY = f"localhost:{sys.argv[1]}"


class Client:
    def __init__(self, port):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(socket.create_connection(("127.0.0.1", port)), server_hostname="localhost")
        assert self.socket.selected_alpn_protocol() == "h2"
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.events = []
        self.flush()
        while not self.http.remote_settings.enable_connect_protocol:
            self.receive()

    def flush(self):
        self.socket.sendall(self.http.data_to_send())

    def receive(self):
        data = self.socket.recv(65_536)
        assert data, "the connection ended"
        for event in self.http.receive_data(data):
            if isinstance(event, h2.events.DataReceived):
                self.http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            self.events.append(event)
        self.flush()

    def wait(self, kind, stream):
        """The next event of that kind on that stream."""
        while True:
            for event in self.events:
                if isinstance(event, kind) and event.stream_id == stream:
                    self.events.remove(event)
                    return event
            self.receive()

    def open(self, **extra):
        stream = self.http.get_next_available_stream_id()
        headers = [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "https"),
            (":path", "/socket"),
            (":authority", AUTHORITY),
            ("sec-websocket-version", "13"),
            *((name.replace("_", "-"), value) for name, value in extra.items()),
        ]
        self.http.send_headers(stream, headers)
        self.flush()
        return stream, dict(self.wait(h2.events.ResponseReceived, stream).headers)


class WebSocket:
    def __init__(self, client, stream):
        self.client, self.stream = client, stream
        self.frames = Connection(ConnectionType.CLIENT)
        self.pending = []

    def send(self, event):
        data = self.frames.send(event)
        while data:
            room = min(
                len(data),
                self.client.http.local_flow_control_window(self.stream),
                self.client.http.max_outbound_frame_size,
            )
            if room == 0:
                self.client.receive()
                continue
            self.client.http.send_data(self.stream, data[:room])
            self.client.flush()
            data = data[room:]

    def next(self):
        while not self.pending:
            self.frames.receive_data(self.client.wait(h2.events.DataReceived, self.stream).data)
            self.pending.extend(self.frames.events())
        return self.pending.pop(0)

    def message(self):
        parts = []
        while True:
            event = self.next()
            parts.append(event.data)
            if event.message_finished:
                return type(event).__name__, parts[0][:0].join(parts)


def tell(**facts):
    print(json.dumps(facts), flush=True)


client = Client(int(sys.argv[1]))
stream, answer = client.open(sec_websocket_protocol="other, chat", origin=f"https://{AUTHORITY}")
tell(status=answer[":status"], subprotocol=answer.get("sec-websocket-protocol"), accept=answer.get("sec-websocket-accept"))
ws = WebSocket(client, stream)

ws.send(TextMessage(data="grüß dich"))
tell(echo=ws.message())
large = bytes(range(256)) * 2000
ws.send(BytesMessage(data=large))
kind, data = ws.message()
tell(echo=[kind, data == large])
ws.send(Ping(payload=b"are you there"))
pong = ws.next()
tell(pong=isinstance(pong, Pong) and pong.payload.decode())

# A second request on the same session is refused. A third is upgraded, and this client closes it.
_, refused = client.open(sec_websocket_version="7")
tell(refused=refused[":status"], versions=refused.get("sec-websocket-version"))
other_stream, _ = client.open()
other = WebSocket(client, other_stream)
other.send(CloseConnection(code=4002, reason="done"))
answered = other.next()
tell(answered=answered.code)
client.http.end_stream(other_stream)
client.flush()
client.wait(h2.events.StreamEnded, other_stream)

ws.send(TextMessage(data="close me"))
closed = ws.next()
tell(closed=[closed.code, closed.reason])
ws.send(closed.response())
client.http.end_stream(stream)
client.flush()
client.wait(h2.events.StreamEnded, stream)
tell(ended=True)
