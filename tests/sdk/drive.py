"""Plivo's own SDK for Python drives the local Plivo as it would drive the real one.

tests/processes/sdk.rs starts this script. It prints its receiver's URL, and reads the URLs of two local Plivos: a quick one, and
a slow one where a phone rings for ten seconds and runs are terse. The SDK is unmodified: only the module constants
that hold its base URLs are set.
"""

import faulthandler
import itertools
import json
import sys
import unittest
import urllib.request

import plivo
import plivo.rest.client as rest
import plivo.rest.phlo_client as phlo
from plivo.exceptions import (AuthenticationError, ForbiddenError, GeoPermissionError, InvalidRequestError,
                              PlivoRestError, PlivoServerError, ResourceNotFoundError, ValidationError)

from receiver import CODE, PATIENCE, Receiver

AUTH_ID, AUTH_TOKEN = sys.argv[1:3]
NUMBER = "14155550199"
PHLO = "2b1c7f0e-0000-4000-8000-000000000000"
UNKNOWN_UUID = "00000000-0000-4000-8000-000000000000"

receiver = Receiver()
quick = slow = None
# Each test has numbers of its own, because the local Plivo counts the tries of a number.
area = itertools.count(200)


def setUpModule():
    global quick, slow
    print(receiver.url, flush=True)
    quick, slow = sys.stdin.readline().strip(), sys.stdin.readline().strip()


def number(last_four):
    return "1415%03d%s" % (next(area), last_four)


def client(origin=None, token=AUTH_TOKEN):
    """A new client for each test: this SDK's clients do not reset their retry count after three failures."""
    base = (origin or quick) + "/v1/Account"
    rest.PLIVO_API_BASE_URI = rest.API_VOICE_BASE_URI = base
    rest.API_VOICE_BASE_URI_FALLBACK_1 = rest.API_VOICE_BASE_URI_FALLBACK_2 = base
    return plivo.RestClient(AUTH_ID, token, timeout=PATIENCE)


def phlo_client(origin=None, token=AUTH_TOKEN):
    phlo.PHLO_API_BASE_URI = (origin or quick) + "/v1"
    return plivo.phlo.RestClient(AUTH_ID, token, timeout=PATIENCE)


def control_route(path, body=None, origin=None):
    """Requests a control route of the local Plivo, which no SDK has."""
    body = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(urllib.request.Request((origin or quick) + path, body)) as response:
        read = response.read()
    return json.loads(read) if read else None


def fields(thing):
    return set(vars(thing))


class Case(unittest.TestCase):
    def outage(self, **outage):
        control_route("/outage", dict(outage, seconds=86400))
        self.addCleanup(control_route, "/outage", {"seconds": 0})

    def raises(self, error, call, *args, **kwargs):
        """Asserts this class, not one derived from it, and returns the error's text."""
        with self.assertRaises(PlivoRestError) as raised:
            call(*args, **kwargs)
        self.assertIs(type(raised.exception), error, raised.exception)
        return str(raised.exception)


class Messages(Case):
    def test_a_message_is_accepted_reported_and_shown(self):
        api, to = client(), number("0100")
        sent = api.messages.create(src=NUMBER, dst=to, text=CODE + " is your code", url=receiver.url + "/message/1")
        self.assertEqual(sent.message, "message(s) queued")
        [uuid] = sent.message_uuid
        self.assertNotEqual(sent.api_id, uuid)
        for status in ("queued", "sent", "delivered"):
            report = receiver.wait_for("/message/1", MessageUUID=uuid, Status=status)
            self.assertEqual((report.params["From"], report.params["To"]), (NUMBER, to))
        shown = api.messages.get(uuid)
        self.assertEqual((shown.id, shown.message_state, shown.error_code), (uuid, "delivered", "000"))
        self.assertEqual((shown.from_number, shown.to_number, shown.units), (NUMBER, to, 1))
        # The fields of the SDK's own fixture.
        self.assertLessEqual({
            "api_id", "error_code", "from_number", "message_direction", "message_state", "message_time", "message_type",
            "message_uuid", "resource_uri", "to_number", "total_amount", "total_rate", "units", "message_sent_time",
            "message_updated_time", "error_message"}, fields(shown))
        self.assertEqual(shown.get().message_uuid, uuid)

    def test_an_undelivered_message_has_an_error_code(self):
        api = client()
        sent = api.messages.create(src=NUMBER, dst=number("0101"), text="hello", url=receiver.url + "/message/2")
        [uuid] = sent.message_uuid
        report = receiver.wait_for("/message/2", MessageUUID=uuid, Status="undelivered")
        self.assertEqual(report.params["ErrorCode"], "30")
        shown = api.messages.get(uuid)
        self.assertEqual((shown.message_state, shown.error_code), ("undelivered", "30"))

    def test_every_destination_has_a_uuid_that_the_list_contains(self):
        api, to = client(), [number("0104") for _ in range(25)]
        sent = api.messages.create(src=NUMBER, dst="<".join(to), text="hello")
        self.assertEqual(len(set(sent.message_uuid)), 25)
        first = api.messages.list(limit=20, offset=0)
        self.assertEqual((len(first), first.has_error(), first.meta.limit, first.meta.previous), (20, False, 20, None))
        self.assertGreaterEqual(first.meta.total_count, 25)
        listed = [message.message_uuid for message in api.messages]
        self.assertEqual(len(listed), len(set(listed)))
        self.assertLessEqual(set(sent.message_uuid), set(listed))
        [only] = api.messages.list(to_number=to[0], message_state="queued")
        self.assertEqual((only.to_number, only.get().id), (to[0], only.id))
        self.assertEqual(list(api.messages.list(to_number=to[0], message_state="failed")), [])

    def test_a_refused_message_is_a_validation_error(self):
        text = self.raises(ValidationError, client().messages.create, src=NUMBER, dst=number("0100"), text="a" * 1601)
        self.assertIn("too long", text)


class Calls(Case):
    def test_a_call_asks_for_a_key_and_speaks_the_code(self):
        api, to = client(), number("0100")
        placed = api.calls.create(from_=NUMBER, to_=to, answer_url=receiver.url + "/ask/1",
                                  ring_url=receiver.url + "/ring/1", hangup_url=receiver.url + "/hangup/1")
        self.assertEqual(placed.message, "call fired")
        expected = {"RequestUUID": placed.request_uuid, "From": NUMBER, "To": to, "Direction": "outbound"}
        receiver.wait_for("/ring/1", Event="Ring", CallStatus="ringing", **expected)
        receiver.wait_for("/ask/1", Event="StartApp", CallStatus="in-progress", **expected)
        receiver.wait_for("/speak/1", Event="Redirect", CallStatus="in-progress", Digits="7", **expected)
        hangup = receiver.wait_for(
            "/hangup/1", Event="Hangup", CallStatus="completed", HangupCauseCode="4010", **expected)
        self.assertEqual(control_route("/handset/" + to)["calls"][0]["code"], CODE)

        uuid = hangup.params["CallUUID"]
        shown = api.calls.get(uuid)
        self.assertEqual((shown.call_uuid, shown.to_number, shown.hangup_cause_code), (uuid, to, 4010))
        # The fields of the SDK's own fixture.
        self.assertLessEqual({
            "answer_time", "api_id", "bill_duration", "billed_duration", "call_direction", "call_duration", "call_uuid",
            "end_time", "from_number", "initiation_time", "parent_call_uuid", "resource_uri", "to_number",
            "total_amount", "total_rate"}, fields(shown))
        self.assertEqual((shown.bill_duration, shown.billed_duration % 60), (shown.call_duration, 0))
        [listed] = api.calls.list(to_number=to)
        self.assertEqual(listed.call_uuid, uuid)

    def test_an_answered_call_is_live_until_it_is_hung_up(self):
        api, to = client(), number("0100")
        api.calls.create(from_=NUMBER, to_=to, answer_url=receiver.url + "/wait/1", hangup_url=receiver.url + "/hangup/2")
        uuid = receiver.wait_for("/wait/1", To=to).params["CallUUID"]
        live = api.live_calls.get(uuid)
        self.assertEqual((live.call_status, live.call_uuid, live.to), ("in-progress", uuid, to))
        # The fields of the SDK's own fixture.
        self.assertLessEqual({"api_id", "call_status", "call_uuid", "caller_name", "direction", "from", "request_uuid",
                              "session_start", "to"}, fields(live))
        self.assertIn(uuid, api.live_calls.list_ids().calls)
        self.assertNotIn(uuid, [call.call_uuid for call in api.calls.list(to_number=to)])

        self.assertIsNone(api.calls.hangup(uuid))
        hangup = receiver.wait_for("/hangup/2", CallUUID=uuid)
        self.assertEqual((hangup.params["HangupCauseCode"], hangup.params["HangupSource"]), ("4000", "API Request"))
        self.raises(ResourceNotFoundError, api.live_calls.get, uuid)
        self.raises(ResourceNotFoundError, api.calls.hangup, uuid)
        self.assertNotIn(uuid, api.live_calls.list_ids().calls)

    def test_a_ringing_call_is_cancelled_by_its_request_uuid(self):
        api, to = client(slow), number("0100")
        placed = api.calls.create(from_=NUMBER, to_=to, answer_url=receiver.url + "/ask/2",
                                  hangup_url=receiver.url + "/hangup/3")
        [uuid] = api.live_calls.list_ids(to_number=to).calls
        self.assertEqual(api.live_calls.get(uuid).call_status, "ringing")
        self.assertIsNone(api.calls.cancel(placed.request_uuid))
        receiver.wait_for("/hangup/3", RequestUUID=placed.request_uuid, CallUUID=uuid, CallStatus="cancel")
        self.assertEqual(receiver.received("/ask/2"), [])
        self.raises(ResourceNotFoundError, api.calls.cancel, placed.request_uuid)

    def test_no_call_is_queued(self):
        api = client()
        self.assertEqual(api.queued_calls.list_ids().calls, [])
        self.raises(ResourceNotFoundError, api.queued_calls.get, UNKNOWN_UUID)

    def test_an_unanswered_call_ends_without_cost(self):
        api, to = client(), number("0108")
        api.calls.create(from_=NUMBER, to_=to, answer_url=receiver.url + "/ask/3", hangup_url=receiver.url + "/hangup/4")
        uuid = receiver.wait_for("/hangup/4", To=to, CallStatus="no-answer").params["CallUUID"]
        shown = api.calls.get(uuid)
        self.assertEqual((shown.answer_time, shown.call_duration, shown.total_amount), (None, 0, "0.00000"))


class Phlos(Case):
    def test_the_answer_and_the_record_of_a_run_name_its_message(self):
        flow, to = phlo_client().phlo.get(PHLO), number("0100")
        self.assertLessEqual({"api_id", "phlo_id", "name", "created_on"}, fields(flow))
        ran = flow.run(from_=NUMBER, to=to, otp=CODE, mode="sms", ref="r_1")
        self.assertEqual(ran.phlo_id, PHLO)
        uuid = receiver.wait_for("/plivo/message", To=to, Status="delivered").params["MessageUUID"]
        self.assertIn(uuid, ran.message)
        self.assertEqual(client().messages.get(uuid).message_state, "delivered")
        self.assertEqual(control_route("/handset/" + to)["messages"][0]["code"], CODE)
        record = self.record(phlo_client(), ran)
        self.assertEqual((record.run_id, record.message_uuids, record.call_uuids), (ran.phlo_run_id, [uuid], []))

    def test_only_the_record_of_a_terse_run_names_what_it_sent(self):
        api = phlo_client(slow)
        for mode in ("sms", "call"):
            ran = api.phlo.get(PHLO).run(from_=NUMBER, to=number("0100"), otp=CODE, mode=mode)
            self.assertEqual(ran.message, "API request executed")
            record = self.record(api, ran)
            self.assertEqual((len(record.message_uuids), len(record.call_uuids)), (mode == "sms", mode == "call"))

    def test_a_failed_node_is_no_error_of_the_run(self):
        ran = phlo_client().phlo.get(PHLO).run(from_=NUMBER, to=number("0110"), otp=CODE, mode="sms")
        self.assertIn("output state: failed", ran.message)

    def test_errors_of_the_runner_are_those_of_its_client(self):
        self.raises(AuthenticationError, phlo_client(token="wrong").phlo.get, PHLO)
        flow = phlo_client().phlo.get(PHLO)
        # This client has no class of its own for 403 and 429.
        for status, error in ((400, ValidationError), (401, AuthenticationError), (403, PlivoRestError),
                              (404, ResourceNotFoundError), (429, PlivoRestError), (500, PlivoServerError),
                              (503, PlivoRestError)):
            self.outage(what="phlo", status=status)
            self.raises(error, flow.run, from_=NUMBER, to=number("0100"), otp=CODE, mode="sms")
        with self.assertRaises(ResourceNotFoundError):
            self.record(phlo_client(slow), plivo.base.ResponseObject({"phlo_id": PHLO, "phlo_run_id": UNKNOWN_UUID}))

    def record(self, api, ran):
        # This SDK has no method for run records.
        return api.request("GET", ("phlo", ran.phlo_id, "runs", ran.phlo_run_id))


class Accounts(Case):
    def test_the_account_is_shown(self):
        self.assertEqual(client().account.get().auth_id, AUTH_ID)

    def test_a_number_of_the_account_shows_its_features(self):
        shown = client().numbers.get(NUMBER)
        self.assertEqual((shown.id, shown.active, shown.voice_enabled, shown.sms_enabled), (NUMBER, True, True, True))
        # The fields of the SDK's own fixture.
        self.assertLessEqual({
            "added_on", "active", "alias", "api_id", "application", "carrier", "monthly_rental_rate", "number",
            "number_type", "city", "compliance_application_id", "compliance_status", "country", "mms_enabled",
            "mms_rate", "tendlc_campaign_id", "tendlc_registration_status", "toll_free_sms_verification",
            "renewal_date", "region", "resource_uri", "sms_enabled", "sms_rate", "sub_account", "voice_enabled",
            "voice_rate"}, fields(shown))
        self.assertEqual(client().numbers.get("+" + NUMBER).number, NUMBER)

    def test_a_number_of_another_account_is_not_found(self):
        for other in ("14155550000", "123456", "1234567890123456"):
            self.raises(ResourceNotFoundError, client().numbers.get, other)


class Errors(Case):
    def send(self, api, to):
        return api.messages.create(src=NUMBER, dst=to, text="hello")

    def call(self, api, to):
        return api.calls.create(from_=NUMBER, to_=to, answer_url=receiver.url + "/ask/4")

    def test_wrong_credentials_are_an_authentication_error(self):
        api = client(token="wrong")
        for ask in (lambda: self.send(api, number("0100")), lambda: self.call(api, number("0100")), api.account.get,
                    lambda: api.messages.get(UNKNOWN_UUID), lambda: api.numbers.get(NUMBER)):
            self.raises(AuthenticationError, ask)

    def test_an_unknown_uuid_is_not_found(self):
        api = client()
        for ask in (api.messages.get, api.calls.get, api.calls.hangup, api.calls.cancel, api.live_calls.get):
            self.raises(ResourceNotFoundError, ask, UNKNOWN_UUID)

    def test_a_wrong_method_is_an_invalid_request(self):
        self.raises(InvalidRequestError, client().request, "DELETE", ("Message", UNKNOWN_UUID))

    def test_the_third_request_to_a_rate_limited_number_succeeds(self):
        api, to = client(), number("0111")
        self.raises(PlivoRestError, self.send, api, to)
        self.raises(PlivoRestError, self.send, api, to)
        self.assertEqual(self.send(api, to).message, "message(s) queued")

    def test_a_server_error_is_raised_and_a_call_is_tried_three_times(self):
        # On the slow clock a minute of errors outlasts any test.
        self.raises(PlivoServerError, self.send, client(slow), number("0112"))
        to = number("0112")
        self.raises(PlivoServerError, self.call, client(slow), to)
        tries = [entry["status"] for entry in control_route("/log", origin=slow) if entry.get("to") == to]
        self.assertEqual(tries, [500, 500, 500])

    def test_an_outage_raises_the_error_of_its_status(self):
        for status, error in ((400, ValidationError), (401, AuthenticationError), (403, GeoPermissionError),
                              (404, ResourceNotFoundError), (405, InvalidRequestError), (409, InvalidRequestError),
                              (422, InvalidRequestError), (429, PlivoRestError), (500, PlivoServerError),
                              (502, PlivoRestError), (503, PlivoRestError)):
            for what, ask in (("message", self.send), ("call", self.call)):
                self.outage(what=what, status=status)
                self.raises(error, ask, client(), number("0100"))

    def test_a_403_is_a_geo_permission_error_only_when_sending(self):
        self.outage(what="message", status=403)
        self.assertIn("outage", self.raises(GeoPermissionError, self.send, client(), number("0100")))
        self.raises(ForbiddenError, client().messages.get, UNKNOWN_UUID)


class Signatures(Case):
    def test_every_callback_of_a_message_is_signed_for_its_url_and_method(self):
        api = client()
        for method, query in (("POST", ""), ("POST", "?ref=r_1&b=2&a=x%20y+z&empty="), ("GET", ""), ("GET", "?ref=r%2F1")):
            with self.subTest(method=method, query=query):
                path = "/signed/%s/%d" % (method, len(query))
                api.messages.create(src=NUMBER, dst=number("0100"), text="hello", url=receiver.url + path + query,
                                    method=method)
                receiver.wait_for(path, Status="delivered")
                for callback in receiver.received(path):
                    self.assertEqual(callback.is_signed(AUTH_TOKEN), [True] * 4, callback.params)

    def test_every_callback_of_a_call_is_signed(self):
        to = number("0100")
        client().calls.create(from_=NUMBER, to_=to, answer_url=receiver.url + "/ask/5",
                              ring_url=receiver.url + "/ring/5", hangup_url=receiver.url + "/hangup/5")
        receiver.wait_for("/hangup/5")
        for path in ("/ring/5", "/ask/5", "/speak/5", "/hangup/5"):
            callback = receiver.wait_for(path)
            self.assertEqual(callback.is_signed(AUTH_TOKEN), [True] * 4, callback.params)

    def test_the_event_callbacks_of_a_flow_are_signed(self):
        to = number("0100")
        phlo_client().phlo.get(PHLO).run(from_=NUMBER, to=to, otp=CODE, mode="sms")
        callback = receiver.wait_for("/plivo/message", To=to)
        self.assertEqual(callback.is_signed(AUTH_TOKEN), [True] * 4)

    def test_a_forged_callback_is_not_valid(self):
        client().messages.create(src=NUMBER, dst=number("0100"), text="hello", url=receiver.url + "/forged/1")
        callback = receiver.wait_for("/forged/1")
        self.assertEqual(callback.is_signed(AUTH_TOKEN + "x"), [False] * 4)
        self.assertEqual(callback.is_signed(AUTH_TOKEN, url=receiver.url + "/forged/2"), [False] * 4)
        # V2 covers no parameters.
        forged = dict(callback.body, Status="failed")
        self.assertEqual(callback.is_signed(AUTH_TOKEN, body=forged), [True, True, False, False])


if __name__ == "__main__":
    # Shows where the test hangs, if it does.
    faulthandler.dump_traceback_later(3 * PATIENCE, exit=True)
    unittest.main(argv=sys.argv[:1], verbosity=2)
