// Makes requests with Node's fetch: reads a JSON list of exchanges, and writes one of what came of them.

import { text } from "node:stream/consumers";

function chunks(body) {
	const half = body.length / 2;
	return new ReadableStream({
		start(controller) {
			controller.enqueue(body.subarray(0, half));
			controller.enqueue(body.subarray(half));
			controller.close();
		},
	});
}

function ask(method, url, exchange) {
	const options = { method, redirect: "manual", headers: new Headers(), signal: AbortSignal.timeout(60_000) };
	for (const [name, value] of exchange.header) {
		options.headers.append(name, value);
	}
	if (exchange.body !== null) {
		const body = Buffer.from(exchange.body, "base64");
		options.body = exchange.chunked ? chunks(body) : body;
		options.duplex = "half";
	}
	return fetch(url, options).then(read);
}

async function read(response) {
	const content = Buffer.from(await response.arrayBuffer());
	return { status: response.status, header: [...response.headers], body: content.toString("base64") };
}

async function exchangeOne(exchange) {
	const { method, target } = exchange;
	const direct = await ask(method, exchange.direct + target, exchange);
	const accepted = await ask(method, exchange.proxied + target, exchange);
	const id = new Headers(accepted.header).get("X-Correlation-ID");
	const options = { method: method === "HEAD" ? "HEAD" : "GET", redirect: "manual", signal: AbortSignal.timeout(60_000) };
	const raw = await fetch(exchange.raw.replace("{id}", id), options).then(read);
	return { direct, accepted, raw };
}

const outcomes = [];
for (const exchange of JSON.parse(await text(process.stdin))) {
	outcomes.push(await exchangeOne(exchange));
}
process.stdout.write(JSON.stringify(outcomes));
