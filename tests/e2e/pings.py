"""Whether an address answers, all the time."""

import os
import socket
import struct
import threading
import time


class Pings(threading.Thread):
    """Asks an address ten times a second whether it is there, and notes when it answers."""

    def __init__(self, address):
        super().__init__(daemon=True)
        self.address, self.times, self.over = address, [], False
        self.start()

    def run(self):
        name = os.getpid() & 0xFFFF
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as wire:
            wire.settimeout(0.02)
            number, due = 0, time.monotonic()
            while not self.over:
                if time.monotonic() >= due:
                    number, due = number + 1, due + 0.1
                    words = sum(struct.unpack("!4H", struct.pack("!BBHHH", 8, 0, 0, name, number & 0xFFFF)))
                    check = ~(words + (words >> 16)) & 0xFFFF
                    try:
                        wire.sendto(struct.pack("!BBHHH", 8, 0, check, name, number & 0xFFFF), (self.address, 0))
                    except OSError:  # no way there just now
                        pass
                try:
                    packet = wire.recv(1500)
                except TimeoutError:
                    continue
                answer = packet[(packet[0] & 15) * 4:]
                ours = socket.inet_ntoa(packet[12:16]) == self.address
                if ours and answer[0] == 0 and struct.unpack("!H", answer[4:6])[0] == name:
                    self.times.append(time.monotonic())

    def end(self):
        """When it answered."""
        self.over = True
        self.join()
        return self.times
