def test_who_am_i(proxy):
    assert proxy.client("sts").get_caller_identity()["Account"] == "111122223333"


def test_put_get(proxy, bucket):
    s3 = proxy.client("s3")
    s3.put_object(Bucket=bucket, Key="a", Body=b"hello")
    assert s3.get_object(Bucket=bucket, Key="a")["Body"].read() == b"hello"
