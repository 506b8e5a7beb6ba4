"""Opens connections to an MQTT server with Eclipse Paho in one thread, holds them, and prints how long that took.

Usage: hold.py HOST PORT CONNECTIONS SECONDS
"""

import select
import socket
import sys
import time

import paho.mqtt.client as mqtt

host, port, connections, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
# Those that may wait for the server at a time.
AT_A_TIME = 200
accepted = 0


# Paho binds each socket, and so finds no port while those of earlier runs are in TIME_WAIT.
mqtt.Client._create_socket_connection = lambda _: socket.create_connection((host, port))


def connected(client, _data, _flags, reason, _properties):
    global accepted
    if reason.is_failure:
        sys.exit(f"refused: {reason}")
    accepted += 1


poll, clients = select.epoll(), {}
began, opened = time.monotonic(), 0
while accepted < connections:
    while opened < connections and opened - accepted < AT_A_TIME:
        client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, f"paho{opened}", protocol=mqtt.MQTTv5)
        client.on_connect = connected
        client.connect(host, port, keepalive=600)
        clients[client.socket().fileno()] = client
        poll.register(client.socket().fileno(), select.EPOLLIN)
        opened += 1
    for file, _ in poll.poll(10):
        clients[file].loop_read()
took = time.monotonic() - began
print(f"{connections} accepted in {took:.6f}", flush=True)
time.sleep(seconds)
