"""The broker inside librdkafka: Kafka's protocol on loopback, and faults on demand.

Python has only `test.mock.num.brokers` for it, without the faults; so its C functions are called
(rdkafka_mock.h).
"""

import ctypes
import time
from contextlib import closing

import confluent_kafka

from tests.patience import MINUTE_S

# Kafka's error codes, and librdkafka's for a connection that breaks.
NO_SUCH_TOPIC, TOO_LARGE, NOT_ENOUGH_REPLICAS, NOT_AUTHORISED, BROKEN = 3, 10, 19, 29, -195
NOT_AUTHORISED_AT_ALL = 31
PRODUCE, GET_PRODUCER_ID = 0, 22  # kinds of requests

_ALL = ctypes.c_int32(-1)


class Cluster:
    """One broker, until `close`."""

    def __init__(self):
        self._lib = ctypes.CDLL(confluent_kafka.cimpl.__file__)
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(self._lib, name).restype = ctypes.c_void_p
        self._lib.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        told, size = ctypes.create_string_buffer(256), ctypes.c_size_t(256)
        conf = ctypes.c_void_p(self._lib.rd_kafka_conf_new())
        self._lib.rd_kafka_conf_set(conf, b"log_level", b"0", told, size)
        self._owner = ctypes.c_void_p(self._lib.rd_kafka_new(0, conf, told, size))
        assert self._owner.value, told.value
        self._cluster = ctypes.c_void_p(self._lib.rd_kafka_mock_cluster_new(self._owner, 1))
        self.address = self._do("cluster_bootstraps").decode()

    def _do(self, name, *arguments):
        return getattr(self._lib, f"rd_kafka_mock_{name}")(self._cluster, *arguments)

    def topic(self, name, partitions=4):
        """Make a topic; gives its URL."""
        assert self._do("topic_create", name.encode(), partitions, 1) == 0
        return f"kafka://{self.address}/{name}#security=plaintext"

    def topic_error(self, topic, code):
        """What is said of a topic."""
        self._do("topic_set_error", topic.encode(), code)

    def without_leader(self, topic, partition):
        """Let a partition, but no other, take nothing; what still writes to it ends the process."""
        nobody = ctypes.c_int32(-1)
        assert self._do("partition_set_leader", topic.encode(), partition, nobody) == 0

    def down(self):
        assert self._do("broker_set_down", _ALL) == 0

    def up(self):
        assert self._do("broker_set_up", _ALL) == 0

    def answer_after(self, ms):
        assert self._do("broker_set_rtt", _ALL, ms) == 0

    def errors(self, request, *codes):
        """What the next requests of a kind are answered with; 0 lets one pass."""
        array = (ctypes.c_int * len(codes))(*codes)
        size = ctypes.c_size_t(len(codes))
        self._do("push_request_errors_array", ctypes.c_int16(request), size, array)

    def no_errors(self, request):
        self._do("clear_request_errors", ctypes.c_int16(request))

    def records(self, topic):
        """All of a topic, in the order of each partition."""
        found = []
        consumer = {"bootstrap.servers": self.address, "group.id": "test", "log_level": 0}
        with closing(confluent_kafka.Consumer(consumer)) as reader:
            numbers = reader.list_topics(topic, timeout=30).topics[topic].partitions
            begins = [confluent_kafka.TopicPartition(topic, number, 0) for number in numbers]
            ends = [reader.get_watermark_offsets(at, timeout=30) for at in begins]
            assert not any(low for low, _ in ends), "the cluster has forgotten some"
            reader.assign(begins)
            end = time.monotonic() + MINUTE_S
            while (missing := sum(high for _, high in ends) - len(found)) > 0:
                assert time.monotonic() < end, f"{missing} never came"
                found += reader.consume(min(missing, 500), timeout=1)
        assert not any(one.error() for one in found)
        return found

    def close(self):
        self._do("cluster_destroy")
        self._lib.rd_kafka_destroy(self._owner)
