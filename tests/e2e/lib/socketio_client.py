"""python-socketio against a server: connects, subscribes, waits for an ack and a price, sends binary.
Usage: socketio_client.py ORIGIN TRANSPORT; prints what it got as JSON. SPDX-License-Identifier: MIT"""
import json
import sys
import threading

import socketio

origin, transport = sys.argv[1:3]
got = {}
done = threading.Event()
priced = threading.Event()
client = socketio.Client(reconnection=False)


@client.on("connection_status")
def on_status(data):
    got["status"] = data


@client.on("market_update")
def on_market(data, *_offset):
    if "BTC" in data:
        got["row"] = data["BTC"]
        priced.set()


client.connect(origin, transports=[transport])
got["ack"] = client.call("subscribe", ["btc", "NOPE"], timeout=10)
if not priced.wait(15):
    sys.exit("no price")
got["binary"] = client.call("bytes", {"deep": b"\x00\xff" * 1000}, timeout=10)
got["transport"] = client.transport()
client.disconnect()
print(json.dumps(got))
