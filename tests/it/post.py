"""Posts bodies with requests, and prints each status: post.py URL COUNT BYTES."""

import sys

import requests

url, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
headers = {"content-type": "application/json", "X-N8N-API-KEY": "wrong"}
with requests.Session() as session:
    for _ in range(count):
        print(session.post(url, data=b" " * size, headers=headers, timeout=60).status_code)
