"""Twilio's own SDK for Python, pointed at this service.

tests/processes/twilio.rs starts this script with the name and the secret of an app, and the URLs of a service, of one whose codes
expire after a second, and of their local Plivo. The SDK is unmodified: only the base URL of its Verify domain is set.
"""

import datetime
import faulthandler
import itertools
import json
import re
import sys
import time
import unittest
import urllib.request

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

NAME, SECRET, SERVICE_URL, BRIEF_URL, PLIVO_URL = sys.argv[1:6]
SERVICE_SID = "VA" + "a" * 32
# The longest wait, in seconds: generous, because a loaded machine is slow.
PATIENCE = 120
area = itertools.count(300)


def number():
    """A number whose texts are delivered."""
    return "+1415%03d0100" % next(area)


def service(url=SERVICE_URL, name=NAME, secret=SECRET):
    client = Client(name, secret)
    client.verify.base_url = url + "/compat/twilio"
    return client.verify.v2.services(SERVICE_SID)


def until(what, ask):
    start = time.monotonic()
    while not (found := ask()):
        assert time.monotonic() - start < PATIENCE, "not " + what
        time.sleep(0.05)
    return found


def received_code(to):
    def ask():
        with urllib.request.urlopen(PLIVO_URL + "/handset/" + to[1:]) as answer:
            handset = json.load(answer)
        return next((entry["code"] for entry in handset["messages"] + handset["calls"] if entry["code"]), None)
    return until("received", ask)


def wrong(code):
    return ("1" if code[0] == "0" else "0") + code[1:]


class Verify(unittest.TestCase):
    def raises(self, status, code, call, /, *args, **kwargs):
        """Asserts that the call raises the SDK's exception with this HTTP status and Twilio's code, and returns it."""
        with self.assertRaises(TwilioRestException) as raised:
            call(*args, **kwargs)
        self.assertEqual((raised.exception.status, raised.exception.code), (status, code), raised.exception)
        return raised.exception

    def test_a_number_is_verified(self):
        verify, to = service(), number()
        created = verify.verifications.create(to=to, channel="sms", locale="de", custom_friendly_name="Shop")
        self.assertEqual((created.to, created.channel, created.status, created.valid), (to, "sms", "pending", False))
        self.assertRegex(created.sid, re.compile("^VE[0-9a-fA-F]{32}$"))
        self.assertEqual(created.service_sid, SERVICE_SID)
        self.assertIsInstance(created.date_created, datetime.datetime)
        self.assertEqual(len(created.send_code_attempts), 1)
        self.assertTrue(created.url.startswith(SERVICE_URL + "/compat/twilio/v2/Services/"))
        self.assertEqual(created.fetch().status, "pending")
        code = received_code(to)
        check = verify.verification_checks.create(to=to, code=wrong(code))
        self.assertEqual((check.status, check.valid, check.sid), ("pending", False, created.sid))
        check = verify.verification_checks.create(verification_sid=created.sid, code=code)
        self.assertEqual((check.status, check.valid), ("approved", True))
        self.assertIsInstance(check.date_updated, datetime.datetime)
        self.assertEqual(created.fetch().status, "approved")
        self.raises(404, 20404, verify.verification_checks.create, to=to, code=code)

    def test_a_repeated_creation_is_the_same_verification(self):
        verify, to = service(), number()
        first = verify.verifications.create(to=to, channel="sms")
        second = verify.verifications.create(to=to, channel="sms")
        self.assertEqual((second.sid, len(second.send_code_attempts)), (first.sid, 2))
        verify.verifications.create(to=to, channel="sms")
        error = self.raises(429, 60203, verify.verifications.create, to=to, channel="sms")
        self.assertEqual(error.msg, "Unable to create record: Max send attempts reached")

    def test_a_call_speaks_the_code(self):
        verify, to = service(), number()
        self.assertEqual(verify.verifications.create(to=to, channel="call").channel, "call")
        check = verify.verification_checks.create(to=to, code=received_code(to))
        self.assertEqual((check.status, check.channel), ("approved", "call"))

    def test_a_verification_is_canceled_by_sid_or_by_number(self):
        verify = service()
        for by_number in (False, True):
            to = number()
            created = verify.verifications.create(to=to, channel="sms", custom_code="445566")
            named = verify.verifications(to if by_number else created.sid)
            self.assertEqual((named.fetch().status, named.fetch().sid), ("pending", created.sid))
            self.assertEqual(named.update(status="canceled").status, "canceled")
            self.raises(404, 20404, verify.verification_checks.create, to=to, code="445566")
        self.raises(400, 60200, verify.verifications(to).update, status="approved")

    def test_an_expired_code_is_not_found(self):
        verify, to = service(BRIEF_URL), number()
        created = verify.verifications.create(to=to, channel="sms", custom_code="445566")
        until("expired", lambda: created.fetch().status == "expired")
        self.raises(404, 20404, verify.verification_checks.create, to=to, code="445566")

    def test_an_unknown_verification_is_not_found(self):
        verify = service()
        self.raises(404, 20404, verify.verification_checks.create, to=number(), code="123456")
        self.raises(404, 20404, verify.verification_checks.create, verification_sid="VE" + "0" * 32, code="123456")
        self.raises(404, 20404, verify.verifications("VE" + "0" * 32).fetch)
        self.raises(404, 20404, verify.verifications(number()).update, status="canceled")

    def test_too_many_wrong_codes_are_a_limit(self):
        verify, to = service(), number()
        verify.verifications.create(to=to, channel="sms", custom_code="445566")
        for status in ["pending"] * 4 + ["max_attempts_reached"]:
            check = verify.verification_checks.create(to=to, code="000000")
            self.assertEqual((check.status, check.valid), (status, False))
        error = self.raises(429, 60202, verify.verification_checks.create, to=to, code="445566")
        self.assertEqual(error.msg, "Unable to create record: Max check attempts reached")

    def test_wrong_credentials_and_parameters_are_named(self):
        self.raises(401, 20003, service(secret="wrong").verifications.create, to=number(), channel="sms")
        self.raises(401, 20003, service(name="bank").verifications.create, to=number(), channel="sms")
        error = self.raises(400, 60200, service().verifications.create, to="4155550100", channel="sms")
        self.assertIn("Invalid parameter: To (", error.msg)
        self.raises(400, 60200, service().verifications.create, to=number(), channel="whatsapp")
        self.raises(400, 60200, service().verification_checks.create, to=number(), code="1")


if __name__ == "__main__":
    # Shows where the test hangs, if it does.
    faulthandler.dump_traceback_later(3 * PATIENCE, exit=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
