"""A certificate authority that signs nothing: its key was thrown away when it was made. For whatever wants one in an output."""

from __future__ import annotations

CERTIFICATE = """\
-----BEGIN CERTIFICATE-----
MIIBLjCB1KADAgECAgEBMAoGCCqGSM49BAMCMBUxEzARBgNVBAMMCmt1YmVybmV0
ZXMwIBcNMjYwMTAxMDAwMDAwWhgPMjEyNjAxMDEwMDAwMDBaMBUxEzARBgNVBAMM
Cmt1YmVybmV0ZXMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQOVoXdzK5UnPUY
arkWz0/aeulwg9+0az8C+Zgvl8W7yZ0XGi0f5B41l31vCTDLJWJPSQS/kCs+XCUf
1Rcg1pBSoxMwETAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQCb
DQdi3672IfG8mgiib9oeFAt6XPhYwH+lJrkNDzO0nAIhANptQ68b0F3YroGMOeJU
3Yd1DUOqXjrtAboIKEaroD/C
-----END CERTIFICATE-----
"""
