/** The servers, requests and responses of `node:http`, `node:https` and `node:http2`. */
import type { Server as HttpServer, IncomingMessage, ServerResponse } from "node:http";
import type { Http2SecureServer, Http2Server, Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Server as HttpsServer } from "node:https";

export type NodeServer = HttpServer | HttpsServer | Http2Server | Http2SecureServer;

export type NodeRequest = IncomingMessage | Http2ServerRequest;

export type NodeResponse = ServerResponse | Http2ServerResponse;
